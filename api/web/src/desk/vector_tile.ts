/** Mapbox vector tiles 2.1 with one layer, written feature by feature. */

/** Units of a tile from side to side. */
export const EXTENT = 8192;

/** Points one after the other: x, y, x, y … in units of a tile, y down. */
export type Path = number[];

export type Property = string | number | boolean;

const [MOVE_TO, LINE_TO, CLOSE] = [1, 2, 7];
const [LINE, POLYGON] = [2, 3];

const zigzag = (value: number): number => (value << 1) ^ (value >> 31);

/** Bytes that grow. */
class Bytes {
  private bytes = new Uint8Array(256);
  private length = 0;

  get written(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }

  private reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = new Uint8Array(2 * (this.length + more));
    larger.set(this.written);
    this.bytes = larger;
  }

  varint(value: number): void {
    this.reserve(5);
    let left = value >>> 0;
    for (; left > 127; left >>>= 7) this.bytes[this.length++] = (left & 127) | 128;
    this.bytes[this.length++] = left;
  }

  number(field: number, value: number): void {
    this.varint(field << 3);
    this.varint(value);
  }

  packed(field: number, bytes: Uint8Array): void {
    this.varint((field << 3) | 2);
    this.varint(bytes.length);
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  text(field: number, text: string): void {
    this.packed(field, new TextEncoder().encode(text));
  }
}

export class VectorTile {
  private readonly layer = new Bytes();
  private readonly keys = new Map<string, number>();
  private readonly values = new Map<Property, number>();

  constructor(name: string) {
    this.layer.text(1, name);
  }

  /** Lines; points that fall together are one. */
  lines(paths: readonly Path[], properties: Readonly<Record<string, Property>> = {}): void {
    this.feature(LINE, commands(paths, 2, false), properties);
  }

  /** Rings without their first point again: each outer one, clockwise, before its holes, which run the other way. */
  polygon(rings: readonly Path[], properties: Readonly<Record<string, Property>>): void {
    this.feature(POLYGON, commands(rings, 3, true), properties);
  }

  private feature(kind: number, geometry: Uint8Array, properties: Readonly<Record<string, Property>>): void {
    if (geometry.length === 0) return;
    const tags = new Bytes();
    for (const [key, value] of Object.entries(properties)) {
      tags.varint(indexOf(this.keys, key));
      tags.varint(indexOf(this.values, value));
    }
    const feature = new Bytes();
    feature.packed(2, tags.written);
    feature.number(3, kind);
    feature.packed(4, geometry);
    this.layer.packed(2, feature.written);
  }

  get bytes(): ArrayBuffer {
    for (const key of this.keys.keys()) this.layer.text(3, key);
    for (const value of this.values.keys()) this.layer.packed(4, coded(value));
    this.layer.number(5, EXTENT);
    this.layer.number(15, 2);
    const tile = new Bytes();
    tile.packed(3, this.layer.written);
    return tile.written.slice().buffer;
  }
}

function indexOf<T>(known: Map<T, number>, one: T): number {
  const found = known.get(one);
  if (found !== undefined) return found;
  known.set(one, known.size);
  return known.size - 1;
}

function coded(value: Property): Uint8Array {
  const bytes = new Bytes();
  if (typeof value === "string") bytes.text(1, value);
  else if (typeof value === "boolean") bytes.number(7, value ? 1 : 0);
  else bytes.number(6, zigzag(value));
  return bytes.written;
}

/** Paths of at least so many points as the commands of a geometry. */
function commands(paths: readonly Path[], least: number, isClosed: boolean): Uint8Array {
  const bytes = new Bytes();
  let [x, y] = [0, 0];
  const step = (path: Path, i: number) => {
    bytes.varint(zigzag(path[i] - x));
    bytes.varint(zigzag(path[i + 1] - y));
    [x, y] = [path[i], path[i + 1]];
  };
  for (const path of paths) {
    const count = path.length / 2;
    if (count < least) continue;
    bytes.varint((1 << 3) | MOVE_TO);
    step(path, 0);
    bytes.varint(((count - 1) << 3) | LINE_TO);
    for (let i = 2; i < path.length; i += 2) step(path, i);
    if (isClosed) bytes.varint((1 << 3) | CLOSE);
  }
  return bytes.written;
}
