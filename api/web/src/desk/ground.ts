/**
 * The ground as the server tells it in form 1 (`gis/desk/columns.py`): lines on a lattice, and the faces between them.
 *
 * Nothing is parsed: columns of numbers are looked at where they lie. A face has no shape of its own until somebody
 * asks for it; then its ring is chained from its lines. So tens of thousands of faces are there in a blink, and only
 * what comes under the hand costs anything.
 */

import { getAs } from "../api/client";
import type { Box, Id, Place } from "../api/types";
import { type Column, readColumns } from "./columns";
import type { Survey } from "./opening";
import { ringsFrom } from "./outlines";
import { boxOf, degrees, middleOf, type Ring, ringsOf, STEPS_PER_DEGREE } from "./plane";
import type { Edge, Face } from "./types";

const FORM = "application/vnd.wangge.ground; form=1";
const BARRED = 128;

/** Points `from` to `to` (exclusive) of columns in steps of the lattice: 1e-7 degrees. */
export interface Line {
  x: Int32Array;
  y: Int32Array;
  from: number;
  to: number;
}

export interface BoardEdge extends Line {
  id: Id;
  a: BoardFace;
  b: BoardFace | null;
  length_m: number;
  /** Class by rising strength, 0-4. */
  barrier: number;
  crossable: boolean;
}

export class BoardFace {
  parts: Id[] = [];
  /** The cell of land; of a face with parts what its parts say counts. */
  land: Id | null = null;
  edges: BoardEdge[] = [];
  private shape: Ring[] | null = null;
  private bounds: Box | null = null;
  private centre: Place | null = null;

  constructor(
    readonly id: Id,
    readonly building: Id | null,
    /** The staircases whose ground it is, both inclusive; null for all. */
    readonly unit_from: number | null,
    readonly unit_to: number | null,
    readonly area_m2: number,
  ) {}

  /** As a change tells it. */
  static of({ id, properties, geometry }: Face): BoardFace {
    const { building, unit_from, unit_to, area_m2, parts, cell } = properties;
    const face = new BoardFace(Number(id ?? properties.id), building, unit_from ?? null, unit_to ?? null, area_m2);
    face.shape = ringsOf(geometry);
    face.parts = parts;
    face.land = parts.length === 0 ? cell : null;
    return face;
  }

  get rings(): Ring[] {
    this.shape ??= ringsFrom(this.edges);
    return this.shape;
  }

  get box(): Box {
    this.bounds ??= this.shape ? boxOf(this.shape) : boxOfLines(this.edges);
    return this.bounds;
  }

  get middle(): Place {
    this.centre ??= middleOf(this.rings);
    return this.centre;
  }
}

export interface Ground {
  /** Its number: another one whenever faces are split. */
  ground: number;
  faces: BoardFace[];
  edges: BoardEdge[];
}

export function boxOfLines(lines: readonly Line[]): Box {
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y, from, to } of lines) {
    for (let i = from; i < to; i++) {
      if (x[i] < west) west = x[i];
      if (x[i] > east) east = x[i];
      if (y[i] < south) south = y[i];
      if (y[i] > north) north = y[i];
    }
  }
  return [degrees(west), degrees(south), degrees(east), degrees(north)];
}

/** A line of a change on the lattice. */
export function lineOf(geometry: Edge["geometry"]): Line {
  const points = geometry.type === "LineString" ? geometry.coordinates : geometry.coordinates.flat();
  const steps = (axis: 0 | 1) => Int32Array.from(points, (point) => Math.round(point[axis] * STEPS_PER_DEGREE));
  return { x: steps(0), y: steps(1), from: 0, to: points.length };
}

/** Numbers that were told as differences to the one before, in place. */
function summed<T extends Column>(column: T): T {
  for (let i = 1; i < column.length; i++) column[i] += column[i - 1];
  return column;
}

/** Points of the lattice, which fit whatever their differences were told as. */
const whole = (column: Column): Int32Array => (column instanceof Int32Array ? column : Int32Array.from(column));

export function readGround(data: ArrayBuffer): Ground {
  const { head, column } = readColumns<{ ground: number }>(data);
  const faces = facesOf(column);
  return { ground: head.ground, faces, edges: edgesOf(column, faces) };
}

function facesOf(column: (name: string) => Column): BoardFace[] {
  const [id, building] = [summed(column("face_id")), summed(column("face_building"))];
  const [first, last, area] = [column("face_unit_from"), column("face_unit_to"), column("face_area_m2")];
  return Array.from(
    id,
    (key, i) => new BoardFace(key, building[i] || null, first[i] || null, last[i] || null, area[i]),
  );
}

function edgesOf(column: (name: string) => Column, faces: readonly BoardFace[]): BoardEdge[] {
  const [id, a, b] = [summed(column("edge_id")), column("edge_a"), column("edge_b")];
  const [length, barrier, count] = [column("edge_length_cm"), column("edge_barrier"), column("edge_points")];
  const [x, y] = [whole(summed(column("x"))), whole(summed(column("y")))];
  const edges: BoardEdge[] = [];
  for (let i = 0, from = 0; i < id.length; from += count[i++]) {
    const [one, two] = [faces[a[i]], b[i] < 0 ? null : faces[b[i]]];
    const edge: BoardEdge = {
      id: id[i],
      a: one,
      b: two,
      length_m: length[i] / 100,
      barrier: barrier[i] & ~BARRED,
      crossable: barrier[i] < BARRED,
      x,
      y,
      from,
      to: from + count[i],
    };
    edges.push(edge);
    one.edges.push(edge);
    two?.edges.push(edge);
  }
  return edges;
}

/** The ground of a plan, or how far the survey is that it waits for. */
export async function askGround(plan: Id, signal?: AbortSignal): Promise<Ground | { survey: Survey }> {
  const answer = await getAs(`/api/v1/plans/${plan}/desk/ground`, FORM, signal);
  return answer.status === 202 ? answer.json() : readGround(await answer.arrayBuffer());
}
