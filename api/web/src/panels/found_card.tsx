/** What was found: where it lies, and who answers for it. */

import type { CellRef, Found } from "../api/types";
import { t, word } from "../i18n";
import { Icon } from "./icons";
import { People } from "./people";
import { KIND_ICONS } from "./search_box";

const floorsOf = ({ floor_from, floor_to }: CellRef): string | null =>
  floor_from == null && floor_to == null ? null : t("search.floors", { from: floor_from ?? "", to: floor_to ?? "" });

/** Unit, floor and room as they were read. */
function insideOf({ unit, floor, room }: Found): string | null {
  const parts = [
    unit == null ? null : t("search.unit", { n: unit }),
    floor == null ? null : t("search.floor", { n: floor }),
    room ? t("search.room", { n: room }) : null,
  ].filter(Boolean);
  return parts.length ? parts.join(" · ") : null;
}

interface Props {
  found: Found;
  mine?: boolean;
  onClose: () => void;
}

export function FoundCard({ found, mine = false, onClose }: Props) {
  const inside = insideOf(found);
  const others = found.candidates ?? [];
  return (
    <aside class="card found-card" aria-label={t("search.card")} data-found-card={`${found.kind}:${found.id}`}>
      <header class="card-head">
        <div>
          <p class="over found-over">
            <Icon name={KIND_ICONS[found.kind]} size={18} />
            {word("found_kind", found.kind)}
            {mine && <span class="chip chip-mine">{t("search.mine")}</span>}
          </p>
          <h2>{found.label}</h2>
          {found.detail && <p class="over">{found.detail}</p>}
          {inside && <p class="found-inside">{inside}</p>}
        </div>
        <button type="button" class="button-bare" aria-label={t("act.close")} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <dl class="facts facts-rows">
        {found.micro_grid && (
          <div>
            <dt>{t("search.micro_grid")}</dt>
            <dd class="code">{found.micro_grid.name ?? found.micro_grid.code}</dd>
          </div>
        )}
        {found.grid && (
          <div>
            <dt>{t("search.grid")}</dt>
            <dd class="code">{found.grid.name ?? found.grid.code}</dd>
          </div>
        )}
        {found.code && found.kind !== "grid" && found.kind !== "micro_grid" && (
          <div>
            <dt>{t("search.code")}</dt>
            <dd class="code">{found.code}</dd>
          </div>
        )}
      </dl>
      {(found.flags ?? []).map((flag) => (
        <p key={flag} class="found-flag">
          <Icon name="info" size={18} />
          {word("search_flag", flag)}
        </p>
      ))}
      {others.length > 1 && (
        <ul class="found-candidates" aria-label={t("search.candidates")}>
          {others.map(({ micro_grid, grid, people }) => {
            const cell = micro_grid ?? grid;
            return (
              cell && (
                <li key={cell.id}>
                  <span class="code">{cell.code}</span>
                  <span>{floorsOf(cell)}</span>
                  <span>{people[0]?.name}</span>
                </li>
              )
            );
          })}
        </ul>
      )}
      <h3>{found.kind === "staff" ? t("search.contact") : t("people.title")}</h3>
      <People people={found.people ?? []} />
    </aside>
  );
}
