/** Columns of numbers behind a head, as the server lays them out (`gis/desk/columns.py`); looked at where they lie. */

export type Column = Int32Array | Uint8Array | Float64Array;

const KINDS = { i4: Int32Array, u1: Uint8Array, f8: Float64Array } as const;

/** Of each column its kind, where it begins after the head, and its length. */
type Laid = Record<string, [kind: keyof typeof KINDS, at: number, count: number]>;

export function readColumns<Head>(data: ArrayBuffer): { head: Head; column: (name: string) => Column } {
  const start = 4 + new DataView(data).getUint32(0, true);
  const head: Head & { columns: Laid } = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, start - 4)));
  const column = (name: string): Column => {
    const [kind, at, count] = head.columns[name];
    return new KINDS[kind](data, start + at, count);
  };
  return { head, column };
}
