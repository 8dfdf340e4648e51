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
  return `${community.replace(SHORT, "")} ${codeTail(cell.code)}`.trim();
}

export const nameOf = (board: Board, cell: Id | null): string => {
  const found = cell === null ? undefined : board.cells.get(cell);
  return found ? cellName(board, found) : "–";
};

export const buildingName = (building: DeskBuilding): string => building.name || building.code;
