/**
 * The lines between faces as vector tiles, made in the page when the map asks for them.
 *
 * Only what is in view is cut out, coded and drawn; given to the map as one GeoJSON, all of it would be copied, cut and
 * triangulated before anything is seen.
 */

import type { Line } from "./ground";
import { degrees, worldX, worldY } from "./plane";
import { EXTENT, type Path, VectorTile } from "./vector_tile";

export const LAYER = "lines";
/** How far lines run on beyond a tile, so that no seam shows. */
export const MARGIN = 64;

type Point = [x: number, y: number];

export function lineTile(lines: Iterable<Line>, z: number, x: number, y: number): ArrayBuffer {
  const tile = new VectorTile(LAYER);
  for (const line of lines) tile.lines(clipped(project(line, z, x, y)));
  return tile.bytes;
}

/** A line in whole units of a tile. */
function project({ x, y, from, to }: Line, z: number, column: number, row: number): Point[] {
  const size = 2 ** z * EXTENT;
  const points: Point[] = [];
  for (let i = from; i < to; i++) {
    const px = Math.round(worldX(degrees(x[i])) * size) - column * EXTENT;
    const py = Math.round(worldY(degrees(y[i])) * size) - row * EXTENT;
    points.push([px, py]);
  }
  return points;
}

/** What of a line lies in the tile and its margin. */
function clipped(points: readonly Point[]): Path[] {
  const found: Path[] = [];
  let run: Path = [];
  for (let i = 1; i < points.length; i++) {
    const piece = within(points[i - 1], points[i]);
    if (!piece) {
      run = [];
      continue;
    }
    const [from, to] = piece;
    if (from[0] === to[0] && from[1] === to[1]) continue;
    if (run.at(-2) !== from[0] || run.at(-1) !== from[1]) {
      run = [...from];
      found.push(run);
    }
    run.push(...to);
  }
  return found;
}

/** The part of a segment in the square, by Liang and Barsky; null where there is none. */
function within([ax, ay]: Point, [bx, by]: Point): [Point, Point] | null {
  const [low, high] = [-MARGIN, EXTENT + MARGIN];
  let [start, end] = [0, 1];
  for (const [from, way] of [
    [ax, bx - ax],
    [ay, by - ay],
  ]) {
    if (way === 0) {
      if (from < low || from > high) return null;
      continue;
    }
    const [one, other] = [(low - from) / way, (high - from) / way];
    start = Math.max(start, Math.min(one, other));
    end = Math.min(end, Math.max(one, other));
  }
  if (start >= end) return null;
  const at = (share: number): Point => [Math.round(ax + share * (bx - ax)), Math.round(ay + share * (by - ay))];
  return [at(start), at(end)];
}
