import type { Id } from "../api/types";
import { t } from "../i18n";
import { codeTail } from "../map/cells";
import { communityName } from "../state/places";

interface Coded {
  name?: string | null;
  code: string;
}

/** What people call a cell: its name, else "grid 003" by the end of its code. */
export const cellName = (cell: Coded): string => cell.name || t("cell.by_code", { code: codeTail(cell.code) });

interface InCommunity {
  community_id?: Id | null;
  community_name?: string | null;
}

/** A cell with its community before it: the end of a code is unique only there. */
export const cellInCommunity = ({ community_id, community_name }: InCommunity, cell: Coded): string =>
  [communityName(community_id, community_name), cellName(cell)].filter(Boolean).join(" ");
