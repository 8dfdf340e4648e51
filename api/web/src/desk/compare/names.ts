import { named } from "../../i18n";
import { codeTail } from "../../map/cells";
import { nameByCode } from "../names";
import type { DeskState } from "../state";

const SHORT = /(社区|居委会|村| Community)$/;

/** What a cell of any plan is called by its code alone: its community, where there are several, and its numbers. */
export function nameOfCode(desk: DeskState, code: string | null): string {
  if (code === null) return "–";
  const own = nameByCode(desk.board, code);
  if (own) return own;
  const home = desk.communities.length > 1 ? desk.communities.find((one) => code.startsWith(one.code)) : undefined;
  return `${named(home).replace(SHORT, "")} ${codeTail(code)}`.trim();
}
