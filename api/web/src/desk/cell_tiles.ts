/**
 * Cells as vector tiles, cut in the page from their outlines when the map asks for them.
 *
 * As GeoJSON their outlines would be copied to the map's worker and indexed there before the first of them is seen.
 * Points nearer to a straight line than a fifth of a pixel are left out, but of the nearest zoom.
 */

import type { Box } from "../api/types";
import { boxOfTile, meets, type Ring, worldX, worldY } from "./plane";
import { EXTENT, type Path, type Property, VectorTile } from "./vector_tile";

export const LAYER = "cells";
export const NEAREST_ZOOM = 17;
/** How far polygons run on beyond a tile, so that no line along its side is seen: half the width of the widest and more. */
const MARGIN = 256;
const TOLERANCE = 3.2;

/** A cell as it lies in the square of the world. */
export interface CellShape {
  box: Box;
  /** Outer rings with their holes: x, y, x, y …, without the first point again. */
  polygons: Float64Array[][];
  properties: Readonly<Record<string, Property>>;
}

export function shapeOf(polygons: readonly Ring[][], properties: CellShape["properties"]): CellShape {
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  const flat = (ring: Ring): Float64Array => {
    const points = new Float64Array(2 * (ring.length - 1));
    for (let i = 0; i < points.length; i += 2) {
      const [lon, lat] = ring[i / 2];
      const [x, y] = [worldX(lon), worldY(lat)];
      points[i] = x;
      points[i + 1] = y;
      if (x < box[0]) box[0] = x;
      if (y < box[1]) box[1] = y;
      if (x > box[2]) box[2] = x;
      if (y > box[3]) box[3] = y;
    }
    return points;
  };
  return { polygons: polygons.map((rings) => rings.map(flat)), box, properties };
}

/** Whether a tile shows a part of a box in the world. */
export const isInTile = (box: Box, z: number, x: number, y: number): boolean =>
  meets(box, boxOfTile(z, x, y, MARGIN / EXTENT));

export function cellTile(shapes: Iterable<CellShape>, z: number, x: number, y: number): ArrayBuffer {
  const tile = new VectorTile(LAYER);
  for (const { box, polygons, properties } of shapes) {
    if (!isInTile(box, z, x, y)) continue;
    tile.polygon(
      polygons.flatMap((rings) => ringsIn(rings, z, x, y)),
      properties,
    );
  }
  return tile.bytes;
}

function ringsIn([outer, ...holes]: readonly Float64Array[], z: number, x: number, y: number): Path[] {
  const made = ringIn(outer, z, x, y, 1);
  if (!made) return [];
  const inside = holes.map((hole) => ringIn(hole, z, x, y, -1));
  return [made, ...inside.filter((ring) => ring !== null)];
}

/** A ring in units of a tile, turning the way of `sign`; null where nothing of it is left. */
function ringIn(ring: Float64Array, z: number, column: number, row: number, sign: 1 | -1): Path | null {
  const size = 2 ** z * EXTENT;
  let path: Path = [];
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < ring.length; i += 2) {
    const x = Math.round(ring[i] * size) - column * EXTENT;
    const y = Math.round(ring[i + 1] * size) - row * EXTENT;
    if (x === path[path.length - 2] && y === path[path.length - 1]) continue;
    path.push(x, y);
    low = Math.min(low, x, y);
    high = Math.max(high, x, y);
  }
  if (low < -MARGIN || high > EXTENT + MARGIN) path = clipped(path);
  if (z < NEAREST_ZOOM) path = simpler(path);
  if (path.length < 6) return null;
  const area = turning(path);
  if (area === 0) return null;
  return area > 0 === sign > 0 ? path : backwards(path);
}

/** What of a ring lies in the tile and its margin, by Sutherland and Hodgman. */
function clipped(path: Path): Path {
  let left = path;
  for (const axis of [0, 1] as const) {
    left = half(left, axis, -MARGIN, 1);
    left = half(left, axis, EXTENT + MARGIN, -1);
  }
  return left;
}

/** What of a ring lies on one side of a line: above `at` for `sign` 1, below for -1. */
function half(path: Path, axis: 0 | 1, at: number, sign: 1 | -1): Path {
  const found: Path = [];
  const other = 1 - axis;
  for (let i = 0, j = path.length - 2; i < path.length; j = i, i += 2) {
    const [from, to] = [sign * (path[j + axis] - at), sign * (path[i + axis] - at)];
    if (from >= 0 !== to >= 0) {
      const share = from / (from - to);
      const met = Math.round(path[j + other] + share * (path[i + other] - path[j + other]));
      found.push(...(axis === 0 ? [at, met] : [met, at]));
    }
    if (to >= 0) found.push(path[i], path[i + 1]);
  }
  return found;
}

/** A ring with fewer points, none further than the tolerance from the old one (Douglas and Peucker, from its first point). */
function simpler(path: Path): Path {
  const count = path.length / 2;
  if (count < 4) return path;
  const kept = new Uint8Array(count);
  kept[0] = 1;
  const open = [0, count]; // the last is the first again
  while (open.length > 0) {
    const [to, from] = [open.pop()!, open.pop()!];
    let [worst, furthest] = [TOLERANCE * TOLERANCE, -1];
    const end = to === count ? 0 : 2 * to;
    for (let i = from + 1; i < to; i++) {
      const away = squareTo(path[2 * i], path[2 * i + 1], path[2 * from], path[2 * from + 1], path[end], path[end + 1]);
      if (away > worst) [worst, furthest] = [away, i];
    }
    if (furthest < 0) continue;
    kept[furthest] = 1;
    open.push(from, furthest, furthest, to);
  }
  const found: Path = [];
  for (let i = 0; i < count; i++) if (kept[i]) found.push(path[2 * i], path[2 * i + 1]);
  return found;
}

/** The square of the distance from a point to a segment. */
function squareTo(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  const [dx, dy] = [bx - ax, by - ay];
  const square = dx * dx + dy * dy;
  const share = square === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / square));
  const [ex, ey] = [x - ax - share * dx, y - ay - share * dy];
  return ex * ex + ey * ey;
}

/** Twice the area of a ring, positive clockwise, since y is down. */
function turning(path: Path): number {
  let sum = 0;
  for (let i = 0, j = path.length - 2; i < path.length; j = i, i += 2) {
    sum += path[j] * path[i + 1] - path[i] * path[j + 1];
  }
  return sum;
}

function backwards(path: Path): Path {
  const found: Path = [];
  for (let i = path.length - 2; i >= 0; i -= 2) found.push(path[i], path[i + 1]);
  return found;
}
