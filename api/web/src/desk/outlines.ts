/** Polygons of cells, chained from the edges that have the cell on one side only. */

import type { Id, Place } from "../api/types";
import type { Board } from "./board";
import { add, push } from "./gathering";
import type { BoardEdge, BoardFace, Line } from "./ground";
import { degrees, isInside, type Ring, turning } from "./plane";

/** One number for a point of the lattice; exact within 6 degrees of the first one. */
const SPAN = 2 ** 26;

/** The lines round a set of faces. */
export function borderOf(faces: ReadonlySet<BoardFace>): BoardEdge[] {
  const lines: BoardEdge[] = [];
  for (const face of faces) {
    for (const edge of face.edges) {
      const other = edge.a === face ? edge.b : edge.a;
      if (!other || !faces.has(other)) lines.push(edge);
    }
  }
  return lines;
}

export interface Borders {
  lines: Map<Id, BoardEdge[]>;
  /** The cells beside each. */
  near: Map<Id, Set<Id>>;
}

/** The lines round all cells of a tier at once, in the time of some of them one by one. */
export function bordersAt(board: Board, depth: number): Borders {
  const homes = new Map<BoardFace, readonly Id[]>();
  for (const face of board.faces.values()) homes.set(face, board.homesAt(face, depth));
  const [lines, near] = [new Map<Id, BoardEdge[]>(), new Map<Id, Set<Id>>()];
  const meet = (one: readonly Id[], other: readonly Id[], edge: BoardEdge) => {
    for (const id of one) {
      if (other.includes(id)) continue;
      push(lines, id, edge);
      for (const beside of other) add(near, id, beside);
    }
  };
  for (const edge of board.edges.values()) {
    const [one, other] = [homes.get(edge.a) ?? [], (edge.b && homes.get(edge.b)) ?? []];
    if (one.length === 1 && other.length === 1 && one[0] === other[0]) continue;
    meet(one, other, edge);
    meet(other, one, edge);
  }
  return { lines, near };
}

/** Closed rings of lines that meet at their ends, in degrees; a ring that touches itself is cut there. */
export function ringsFrom(lines: readonly Line[]): Ring[] {
  if (lines.length === 0) return [];
  const [x0, y0] = [lines[0].x[lines[0].from], lines[0].y[lines[0].from]];
  const key = ({ x, y }: Line, at: number) => (x[at] - x0) * 2 * SPAN + (y[at] - y0);
  const ends = lines.map((line) => [key(line, line.from), key(line, line.to - 1)] as const);
  const meeting = new Map<number, number[]>();
  ends.forEach(([start, end], index) => {
    for (const point of start === end ? [start] : [start, end]) {
      const found = meeting.get(point);
      if (found) found.push(index);
      else meeting.set(point, [index]);
    }
  });
  const used = new Uint8Array(lines.length);
  const rings: Ring[] = [];
  for (let start = 0; start < lines.length; start++) {
    if (used[start]) continue;
    let here = ends[start][0];
    const points: Ring = [pointOf(lines[start], lines[start].from)];
    const seen = new Map([[here, 0]]);
    let next: number | undefined = start;
    while (next !== undefined) {
      used[next] = 1;
      const isAhead = ends[next][0] === here;
      append(points, lines[next], isAhead);
      here = ends[next][isAhead ? 1 : 0];
      const before = seen.get(here);
      if (before !== undefined) {
        const ring = points.splice(before + 1);
        if (ring.length > 2) rings.push([points[before], ...ring]);
        for (const [name, index] of seen) if (index > before) seen.delete(name);
      } else seen.set(here, points.length - 1);
      next = meeting.get(here)?.find((index) => !used[index]);
    }
  }
  return rings;
}

const pointOf = ({ x, y }: Line, at: number): GeoJSON.Position => [degrees(x[at]), degrees(y[at])];

/** The points of a line after its first, or before its last the other way round. */
function append(points: Ring, line: Line, isAhead: boolean): void {
  if (isAhead) for (let i = line.from + 1; i < line.to; i++) points.push(pointOf(line, i));
  else for (let i = line.to - 2; i >= line.from; i--) points.push(pointOf(line, i));
}

/** Outer rings with their holes. */
export function polygonsOf(rings: Ring[]): Ring[][] {
  const sorted = [...rings].sort((a, b) => Math.abs(turning(b)) - Math.abs(turning(a)));
  const polygons: { outer: Ring; holes: Ring[] }[] = [];
  const outers: { outer: Ring; holes: Ring[]; isHole: boolean }[] = [];
  for (const ring of sorted) {
    // The middle of a line lies on no other ring, as its ends may.
    const probe: Place = [(ring[0][0] + ring[1][0]) / 2, (ring[0][1] + ring[1][1]) / 2];
    const around = outers.filter((one) => isInside(probe, [one.outer]));
    const isHole = around.length % 2 === 1;
    const made = { outer: ring, holes: [], isHole };
    outers.push(made);
    if (isHole)
      around
        .filter((one) => !one.isHole)
        .at(-1)!
        .holes.push(ring);
    else polygons.push(made);
  }
  return polygons.map(({ outer, holes }) => [outer, ...holes]);
}

export function outlineOf(board: Board, cell: number): GeoJSON.MultiPolygon {
  return { type: "MultiPolygon", coordinates: polygonsOf(ringsFrom(borderOf(board.facesOf(cell)))) };
}
