/** What cells and buildings are called on the desk. */

import type { Id } from "../api/types";
import { t } from "../i18n";
import { codeTail } from "../map/cells";
import type { Board } from "./board";
import type { DeskBuilding, DeskCell } from "./types";

/** Its name, else the end of its code; one that the server has not numbered yet is new. */
export const cellName = (cell: DeskCell): string => cell.name || (cell.code ? codeTail(cell.code) : t("desk.new_cell"));

export const nameOf = (board: Board, cell: Id | null): string => {
  const found = cell === null ? undefined : board.cells.get(cell);
  return found ? cellName(found) : "–";
};

export const buildingName = (building: DeskBuilding): string => building.name || building.code;
