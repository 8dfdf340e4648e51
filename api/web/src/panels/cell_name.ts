import { named, t } from "../i18n";
import { codeTail } from "../map/cells";

interface Coded {
  name?: string | null;
  code: string;
}

/** What people call a cell: its name, else "grid 003" by the end of its code. */
export const cellName = (cell: Coded): string => cell.name || t("cell.by_code", { code: codeTail(cell.code) });

/** A cell with its community before it: the end of a code is unique only there. */
export const cellInCommunity = (community: string | null | undefined, cell: Coded): string =>
  [named({ name: community }), cellName(cell)].filter(Boolean).join(" ");
