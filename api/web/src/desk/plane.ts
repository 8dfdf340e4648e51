/** Plane geometry for the desk: metres round a middle, points in polygons, distances, rings. */

import type { Box, Place } from "../api/types";

export type Ring = GeoJSON.Position[];

const METRES_PER_DEGREE = 111_319.49;

/** The lattice that all ground lies on. */
export const STEPS_PER_DEGREE = 1e7;
export const degrees = (steps: number): number => steps / STEPS_PER_DEGREE;

/** Places in the square of the whole world that tiles are cut from, 0-1 east and south (Web Mercator). */
export const worldX = (lon: number): number => lon / 360 + 0.5;
export function worldY(lat: number): number {
  const sine = Math.sin((lat * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}

/** The square of a tile in the world with `margin` round it, as a share of its side. */
export function boxOfTile(z: number, x: number, y: number, margin: number): Box {
  const side = 1 / 2 ** z;
  return [(x - margin) * side, (y - margin) * side, (x + 1 + margin) * side, (y + 1 + margin) * side];
}

/** A box in the world as degrees. */
export function degreesOf([west, north, east, south]: Box): Box {
  const lat = (row: number) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * row))) * 180) / Math.PI;
  return [west * 360 - 180, lat(south), east * 360 - 180, lat(north)];
}

/** Metres east and north of `middle`; within 0.1 % over the 20 km of a town. */
export interface Plane {
  east: number;
  north: number;
}

export const planeAt = (lat: number): Plane => ({
  east: METRES_PER_DEGREE * Math.cos((lat * Math.PI) / 180),
  north: METRES_PER_DEGREE,
});

export const ringsOf = (geometry: GeoJSON.Polygon | GeoJSON.MultiPolygon): Ring[] =>
  geometry.type === "Polygon" ? geometry.coordinates : geometry.coordinates.flat();

export function boxOf(rings: readonly Ring[]): Box {
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    for (const [x, y] of ring) {
      if (x < box[0]) box[0] = x;
      if (y < box[1]) box[1] = y;
      if (x > box[2]) box[2] = x;
      if (y > box[3]) box[3] = y;
    }
  }
  return box;
}

export const joined = (a: Box, b: Box): Box => [
  Math.min(a[0], b[0]),
  Math.min(a[1], b[1]),
  Math.max(a[2], b[2]),
  Math.max(a[3], b[3]),
];

export const meets = (a: Box, b: Box): boolean => a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3];

/** By the even-odd rule, so that holes count as outside. */
export function isInside([x, y]: Place, rings: readonly Ring[]): boolean {
  let inside = false;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [xi, yi] = ring[i];
      const [xj, yj] = ring[j];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
    }
  }
  return inside;
}

/** Twice the signed area of a ring in square degrees; positive when it runs against the clock. */
export function turning(ring: Ring): number {
  let sum = 0;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    sum += (ring[j][0] - ring[i][0]) * (ring[j][1] + ring[i][1] - 2 * ring[0][1]);
  }
  return sum;
}

/** The centroid of the largest ring; its first point where it has no area. */
export function middleOf(rings: readonly Ring[]): Place {
  let largest = rings[0];
  for (const ring of rings) if (Math.abs(turning(ring)) > Math.abs(turning(largest))) largest = ring;
  const [x0, y0] = largest[0];
  let [sum, x, y] = [0, 0, 0];
  for (let i = 0, j = largest.length - 1; i < largest.length; j = i++) {
    const [ax, ay, bx, by] = [largest[j][0] - x0, largest[j][1] - y0, largest[i][0] - x0, largest[i][1] - y0];
    const cross = ax * by - bx * ay;
    sum += cross;
    x += (ax + bx) * cross;
    y += (ay + by) * cross;
  }
  return sum === 0 ? [x0, y0] : [x0 + x / (3 * sum), y0 + y / (3 * sum)];
}

/** The nearest point of the way from `a` to `b`, as a share 0-1 of it, and its distance in metres. */
export function nearestOn(plane: Plane, at: Place, a: GeoJSON.Position, b: GeoJSON.Position): [number, number] {
  const [ax, ay] = [(a[0] - at[0]) * plane.east, (a[1] - at[1]) * plane.north];
  const [dx, dy] = [(b[0] - a[0]) * plane.east, (b[1] - a[1]) * plane.north];
  const square = dx * dx + dy * dy;
  const share = square === 0 ? 0 : Math.min(1, Math.max(0, -(ax * dx + ay * dy) / square));
  return [share, Math.hypot(ax + share * dx, ay + share * dy)];
}

/** Metres from a place to a polygon; 0 inside. */
export function distanceTo(plane: Plane, at: Place, rings: readonly Ring[]): number {
  if (isInside(at, rings)) return 0;
  let least = Infinity;
  for (const ring of rings) {
    for (let i = 1; i < ring.length; i++) {
      const [, metres] = nearestOn(plane, at, ring[i - 1], ring[i]);
      if (metres < least) least = metres;
    }
  }
  return least;
}

export function lengthOf(plane: Plane, line: readonly GeoJSON.Position[]): number {
  let sum = 0;
  for (let i = 1; i < line.length; i++) {
    sum += Math.hypot((line[i][0] - line[i - 1][0]) * plane.east, (line[i][1] - line[i - 1][1]) * plane.north);
  }
  return sum;
}

/** A line with fewer points, none further than `tolerance` metres from the old one (Douglas and Peucker). */
export function simpler(plane: Plane, line: readonly Place[], tolerance: number): Place[] {
  if (line.length < 3) return [...line];
  const kept = new Set([0, line.length - 1]);
  const open: [number, number][] = [[0, line.length - 1]];
  while (open.length > 0) {
    const [from, to] = open.pop()!;
    let [worst, furthest] = [tolerance, -1];
    for (let i = from + 1; i < to; i++) {
      const [, metres] = nearestOn(plane, line[i], line[from], line[to]);
      if (metres > worst) [worst, furthest] = [metres, i];
    }
    if (furthest < 0) continue;
    kept.add(furthest);
    open.push([from, furthest], [furthest, to]);
  }
  return [...kept].sort((a, b) => a - b).map((i) => line[i]);
}

/** More squares than there are from pole to pole. */
const ROW = 2 ** 24;

/** Boxes in squares, for "what is here" among tens of thousands of faces. */
export class BoxIndex<T extends { box: Box }> {
  private readonly squares = new Map<number, Set<T>>();

  constructor(private readonly side: number) {}

  private keys([west, south, east, north]: Box): number[] {
    const found: number[] = [];
    const [last, top] = [Math.floor(east / this.side), Math.floor(north / this.side)];
    for (let x = Math.floor(west / this.side); x <= last; x++) {
      for (let y = Math.floor(south / this.side); y <= top; y++) found.push(x * ROW + y);
    }
    return found;
  }

  add(item: T): void {
    for (const key of this.keys(item.box)) {
      const square = this.squares.get(key);
      if (square) square.add(item);
      else this.squares.set(key, new Set([item]));
    }
  }

  remove(item: T): void {
    for (const key of this.keys(item.box)) this.squares.get(key)?.delete(item);
  }

  /** Each item once whose box meets `box`. */
  within(box: Box): Set<T> {
    const found = new Set<T>();
    for (const key of this.keys(box)) {
      for (const item of this.squares.get(key) ?? []) if (meets(item.box, box)) found.add(item);
    }
    return found;
  }
}
