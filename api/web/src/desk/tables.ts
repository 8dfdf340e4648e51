/** A plan as `GET desk` tells it in form 1 (`gis/desk/tables.py`): rows whose numbers lie in columns. */

import { getAs } from "../api/client";
import type { Id } from "../api/types";
import { type Column, readColumns } from "./columns";
import type { Survey } from "./opening";
import type { DeskView } from "./types";

const FORM = "application/vnd.wangge.desk; form=1";
const NONE = -(2 ** 31);

interface Table {
  rows: number;
  names: string[];
  /** The values of the fields that are no numbers. */
  words: Record<string, unknown[]>;
}

type Tables = Record<"cells" | "buildings" | "parts" | "land", Table>;
type Frame = Omit<DeskView, keyof Tables> & { board: Tables };

/** How the values of a column are read. */
function reading(column: Column): (row: number) => unknown {
  if (column instanceof Uint8Array) return (row) => column[row] === 1;
  if (column instanceof Int32Array) return (row) => (column[row] === NONE ? null : column[row]);
  return (row) => (Number.isNaN(column[row]) ? null : column[row]);
}

export function readView(data: ArrayBuffer): DeskView {
  const { head, column } = readColumns<Frame>(data);
  const { board, ...beside } = head;
  const rowsOf = <Row>(name: keyof Tables): Row[] => {
    const { rows, names, words } = board[name];
    const fields = names.map((field) => {
      const told = words[field];
      return told ? (row: number) => told[row] : reading(column(`${name}.${field}`));
    });
    return Array.from({ length: rows }, (_, row) => {
      const made: Record<string, unknown> = {};
      for (let i = 0; i < names.length; i++) made[names[i]] = fields[i](row);
      return made as Row;
    });
  };
  const land = rowsOf<{ face: Id; cell: Id | null }>("land").map(({ face, cell }): [Id, Id | null] => [face, cell]);
  const rows = { cells: rowsOf("cells"), buildings: rowsOf("buildings"), parts: rowsOf("parts"), land };
  return { ...beside, ...board, ...rows } as DeskView;
}

/** A plan, or how far the survey is that it waits for. */
export async function askView(plan: Id, signal?: AbortSignal): Promise<DeskView | { survey: Survey }> {
  const answer = await getAs(`/api/v1/plans/${plan}/desk`, FORM, signal);
  return answer.status === 202 ? answer.json() : readView(await answer.arrayBuffer());
}
