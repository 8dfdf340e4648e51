/** What cells and buildings are called on the desk. */

import type { Id } from "../api/types";
import { named, t } from "../i18n";
import { codeTail } from "../map/cells";
import type { Board } from "./board";
import type { DeskBuilding, DeskCell } from "./types";

const SHORT = /(社区|居委会|村| Community)$/;

/**
 * Its name, else the end of its code after its community, whose numbers begin anew (where there are several).
 *
 * One that the server has not numbered yet is new.
 */
export function cellName(board: Board, cell: DeskCell): string {
  if (cell.name) return cell.name;
  if (!cell.code) return t("desk.new_cell");
  const community = board.communities.size > 1 ? named(board.communities.get(cell.community)) : "";
  return `${community.replace(SHORT, "")} ${tailOf(board, cell)}`.trim();
}

/** Its numbers from the top tier down, as far as its code is made of its parents'. */
function tailOf(board: Board, cell: DeskCell): string {
  const above = cell.parent === null ? undefined : board.cells.get(cell.parent);
  if (!above || !cell.code.startsWith(above.code)) return codeTail(cell.code);
  return `${tailOf(board, above)}-${cell.code.slice(above.code.length)}`;
}

const CODES = /\d{13,}/g;

/** What a cell with some code is called; nothing where the plan has none. */
export function nameByCode(board: Board, code: string): string | undefined {
  for (const cell of board.cells.values()) if (cell.code === code) return cellName(board, cell);
}

/** A sentence of the server with names where it has codes of cells. */
export const namedText = (board: Board, text: string): string =>
  text.replace(CODES, (code) => nameByCode(board, code) ?? code);

export const nameOf = (board: Board, cell: Id | null): string => {
  const found = cell === null ? undefined : board.cells.get(cell);
  return found ? cellName(board, found) : "–";
};

export const buildingName = (building: DeskBuilding): string => building.name || building.code;
