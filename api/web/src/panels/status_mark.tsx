import type { Incident } from "../api/types";
import { named, word } from "../i18n";
import { statusLook } from "../map/colours";

export const categoryOf = (incident: Incident): string =>
  named({ name: incident.category_name, name_en: incident.category_name_en }) || incident.category;

/** The state of an incident: the sign of its pin, its colour and the word. */
export function StatusMark({ status, bare = false }: { status: string; bare?: boolean }) {
  const { colour, sign } = statusLook(status);
  return (
    <span class="status">
      <span class="status-sign" style={{ background: colour }} aria-hidden="true">
        {sign}
      </span>
      <span class={bare ? "read-only" : undefined}>{word("status", status)}</span>
    </span>
  );
}
