import { useEffect, useRef } from "preact/hooks";
import type { Id, IncidentFeature } from "../api/types";
import { moment, number, t } from "../i18n";
import { cellInCommunity } from "./cell_name";
import { Empty } from "./states";
import { categoryOf, StatusMark } from "./status_mark";

const ROWS_SHOWN = 200;

interface Props {
  features: IncidentFeature[];
  chosen: Id | null;
  arrived: readonly Id[];
  onPick: (id: Id) => void;
}

/** The incidents of the map as rows, newest first; the chosen row is the chosen pin. */
export function IncidentList({ features, chosen, arrived, onPick }: Props) {
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => row.current?.scrollIntoView({ block: "nearest" }), [chosen]);
  if (features.length === 0) return <Empty icon="check">{t("incidents.none")}</Empty>;
  return (
    <>
      <ul class="incident-list" aria-label={t("incidents.list")}>
        {features.slice(0, ROWS_SHOWN).map(({ properties: p }) => (
          <li
            key={p.id}
            ref={p.id === chosen ? row : undefined}
            class={`incident${p.id === chosen ? " incident-chosen" : ""}${arrived.includes(p.id) ? " incident-new" : ""}`}
            data-incident={p.id}
            data-status={p.status}
          >
            <button type="button" aria-pressed={p.id === chosen} onClick={() => onPick(p.id)}>
              <span class="incident-title">{p.title}</span>
              <time dateTime={p.reported_at}>{moment(p.reported_at)}</time>
              <span class="incident-line">
                <StatusMark status={p.status} />
                <span>{categoryOf(p)}</span>
              </span>
              <span class="incident-where">
                {p.grid_code ? cellInCommunity(p, { name: p.grid_name, code: p.grid_code }) : t("incidents.no_grid")}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {features.length > ROWS_SHOWN && (
        <p class="lack">{t("incidents.more", { n: number(features.length - ROWS_SHOWN) })}</p>
      )}
    </>
  );
}
