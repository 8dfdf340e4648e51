/** Polygons of cells, chained from the edges that have the cell on one side only. */

import type { Place } from "../api/types";
import type { Board, BoardFace } from "./board";
import { isInside, turning } from "./plane";

type Ring = GeoJSON.Position[];

const key = ([x, y]: GeoJSON.Position) => `${x} ${y}`;

/** The lines round a set of faces. */
export function borderOf(faces: ReadonlySet<BoardFace>): Ring[] {
  const lines: Ring[] = [];
  for (const face of faces) {
    for (const edge of face.edges) {
      const other = edge.a === face ? edge.b : edge.a;
      if (!other || !faces.has(other)) lines.push(...edge.line);
    }
  }
  return lines;
}

/** Closed rings of lines that meet at their ends; a ring that touches itself is cut there. */
export function ringsFrom(lines: readonly Ring[]): Ring[] {
  const at = new Map<string, Set<number>>();
  lines.forEach((line, index) => {
    for (const end of [line[0], line[line.length - 1]]) {
      const found = at.get(key(end));
      if (found) found.add(index);
      else at.set(key(end), new Set([index]));
    }
  });
  const used = new Set<number>();
  const rings: Ring[] = [];
  for (let start = 0; start < lines.length; start++) {
    if (used.has(start)) continue;
    const points: Ring = [lines[start][0]];
    const seen = new Map([[key(points[0]), 0]]);
    let next: number | undefined = start;
    while (next !== undefined) {
      used.add(next);
      const line: Ring = lines[next];
      const end = points[points.length - 1];
      const ahead = key(line[0]) === key(end) ? line : [...line].reverse();
      points.push(...ahead.slice(1));
      const here: string = key(points[points.length - 1]);
      const before = seen.get(here);
      if (before !== undefined) {
        const ring = points.splice(before + 1);
        if (ring.length > 2) rings.push([points[before], ...ring]);
        for (const [name, index] of seen) if (index > before) seen.delete(name);
      } else seen.set(here, points.length - 1);
      next = [...(at.get(here) ?? [])].find((index) => !used.has(index));
    }
  }
  return rings;
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
