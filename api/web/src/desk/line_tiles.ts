/**
 * The lines between faces as vector tiles, made in the page when the map asks for them.
 *
 * Only what is in view is cut out, coded and drawn; given to the map as one GeoJSON, all of it would be copied, cut and
 * triangulated before anything is seen. Tiles are Mapbox vector tiles 2.1 with one layer of lines without properties.
 */

import type { Box } from "../api/types";
import type { Line } from "./ground";
import { degrees } from "./plane";

export const LAYER = "lines";
const EXTENT = 8192;
/** How far lines run on beyond a tile, so that no seam shows. */
const MARGIN = 64;
const [MOVE_TO, LINE_TO] = [1, 2];

type Path = [x: number, y: number][];

/** Degrees that a tile covers, its margin with it. */
export function boxOfTile(z: number, x: number, y: number): Box {
  const side = 1 / 2 ** z;
  const far = (MARGIN / EXTENT) * side;
  const lat = (row: number) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * row))) * 180) / Math.PI;
  const [west, north] = [x * side - far, y * side - far];
  const [east, south] = [(x + 1) * side + far, (y + 1) * side + far];
  return [west * 360 - 180, lat(south), east * 360 - 180, lat(north)];
}

export function lineTile(lines: Iterable<Line>, z: number, x: number, y: number): ArrayBuffer {
  const features: number[][] = [];
  for (const line of lines) {
    const geometry = coded(clipped(project(line, z, x, y)));
    if (geometry.length > 0) features.push([...field(3, 0), 2, ...packed(4, geometry)]);
  }
  const name = [...LAYER].map((letter) => letter.charCodeAt(0));
  const layer = [
    ...packed(1, name),
    ...features.flatMap((feature) => packed(2, feature)),
    ...[...field(5, 0), ...varint(EXTENT)],
    ...[...field(15, 0), 2],
  ];
  return Uint8Array.from(packed(3, layer)).buffer;
}

/** A line in whole units of a tile. */
function project({ x, y, from, to }: Line, z: number, column: number, row: number): Path {
  const size = 2 ** z * EXTENT;
  const path: Path = [];
  for (let i = from; i < to; i++) {
    const sine = Math.sin(degrees(y[i]) * (Math.PI / 180));
    const px = Math.round((degrees(x[i]) / 360 + 0.5) * size) - column * EXTENT;
    const py = Math.round((0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)) * size) - row * EXTENT;
    path.push([px, py]);
  }
  return path;
}

/** What of a path lies in the tile and its margin. */
function clipped(path: Path): Path[] {
  const found: Path[] = [];
  let run: Path = [];
  for (let i = 1; i < path.length; i++) {
    const piece = within(path[i - 1], path[i]);
    if (!piece) {
      run = [];
      continue;
    }
    const last = run[run.length - 1];
    if (!last || last[0] !== piece[0][0] || last[1] !== piece[0][1]) {
      run = [piece[0]];
      found.push(run);
    }
    run.push(piece[1]);
  }
  return found;
}

/** The part of a segment in the square, by Liang and Barsky; null where there is none. */
function within([ax, ay]: Path[0], [bx, by]: Path[0]): [Path[0], Path[0]] | null {
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
  const at = (share: number): Path[0] => [Math.round(ax + share * (bx - ax)), Math.round(ay + share * (by - ay))];
  return [at(start), at(end)];
}

/** Paths as the commands of a feature's geometry, without points that fall together. */
function coded(paths: readonly Path[]): number[] {
  const bytes: number[] = [];
  let [x, y] = [0, 0];
  const step = (to: Path[0]) => {
    bytes.push(...varint(zigzag(to[0] - x)), ...varint(zigzag(to[1] - y)));
    [x, y] = to;
  };
  for (const path of paths) {
    const points = path.filter((point, i) => i === 0 || point[0] !== path[i - 1][0] || point[1] !== path[i - 1][1]);
    if (points.length < 2) continue;
    bytes.push(...varint((1 << 3) | MOVE_TO));
    step(points[0]);
    bytes.push(...varint(((points.length - 1) << 3) | LINE_TO));
    for (const point of points.slice(1)) step(point);
  }
  return bytes;
}

const zigzag = (value: number): number => (value << 1) ^ (value >> 31);

function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = value >>> 0;
  for (; left > 127; left >>>= 7) bytes.push((left & 127) | 128);
  bytes.push(left);
  return bytes;
}

const field = (number: number, kind: 0 | 2): number[] => varint((number << 3) | kind);
const packed = (number: number, bytes: readonly number[]): number[] => [
  ...field(number, 2),
  ...varint(bytes.length),
  ...bytes,
];
