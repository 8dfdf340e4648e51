/** What was noticed when a division was brought, the gravest first, each with its row and a way there. */

import { useState } from "preact/hooks";
import { get, path } from "../../api/client";
import type { Box, Id } from "../../api/types";
import { t, useLanguage, word } from "../../i18n";
import { Icon, type IconName } from "../../panels/icons";
import { Shown } from "../../panels/shown";
import { useLoad } from "../../state/load";
import type { DeskState } from "../state";

export interface ImportItem {
  code: string;
  severity: "rejected" | "repaired" | "note";
  text: string;
  layer: string | null;
  key: string | null;
  row: number | null;
  cell_id: Id | null;
  building_id: Id | null;
  bbox: Box | null;
}

const SHOWN = 100;
const CLOSE = 17;
const SIGNS: Record<string, IconName> = { rejected: "error", repaired: "wrench", note: "info" };
const GRAVE = ["take.torn", "partition.out_of_band.as_given", "take.community_not_covered"];
const rank = ({ code, severity }: ImportItem) =>
  severity === "rejected" ? 0 : GRAVE.includes(code) ? 1 : severity === "repaired" ? 2 : 3;

/** The kind of a finding: the last word of its code; whatever the reason, a cell out of its band is that. */
const kindOf = ({ code }: ImportItem) =>
  code.startsWith("partition.out_of_band.") ? "as_given" : (code.split(".").at(-1) ?? code);

interface ListProps {
  items: readonly ImportItem[];
  /** The desk that shows their plan; */
  desk?: DeskState;
  /** or the plan, which the way there opens. */
  plan?: Id;
}

/** Where a place is seen on the desk of another plan. */
const there = (plan: Id, [west, south, east, north]: Box) =>
  path("/desk", { plan, tab: "take", at: `${(west + east) / 2},${(south + north) / 2},${CLOSE}` });

export function FindingList({ desk, items, plan }: ListProps) {
  const [kind, setKind] = useState<string | null>(null);
  const [most, setMost] = useState(SHOWN);
  const sorted = [...items].sort((a, b) => rank(a) - rank(b));
  const kinds = new Map<string, number>();
  for (const item of sorted) kinds.set(kindOf(item), (kinds.get(kindOf(item)) ?? 0) + 1);
  const found = kind === null ? sorted : sorted.filter((item) => kindOf(item) === kind);
  const go = (item: ImportItem) => {
    if (!desk) return;
    if (item.cell_id !== null && desk.board.cells.has(item.cell_id)) {
      const cell = desk.board.cells.get(item.cell_id);
      if (cell && cell.depth !== desk.depth.value) desk.depth.set(cell.depth);
      desk.select([item.cell_id]);
    }
    if (item.bbox) desk.goTo(item.bbox);
  };
  return (
    <>
      <fieldset class="check-kinds" aria-label={t("take.kinds")}>
        {[...kinds].map(([one, n]) => (
          <button
            key={one}
            type="button"
            class="chip"
            aria-pressed={kind === one}
            onClick={() => setKind(kind === one ? null : one)}
          >
            {word("take_kind", one)} {n}
          </button>
        ))}
      </fieldset>
      <ul class="violations" aria-label={t("take.findings")}>
        {found.slice(0, most).map((item, index) => (
          <li key={index} class={`violation violation-${item.severity}`} data-finding={item.code}>
            <Icon name={SIGNS[item.severity] ?? "info"} />
            <div>
              <p class="violation-head">
                <span class="severity">{word("take_severity", item.severity)}</span>
                {item.row !== null && <span>{t("take.row", { n: item.row })}</span>}
              </p>
              <p>{item.text}</p>
            </div>
            {item.bbox && plan !== undefined && (
              <a class="button-quiet" href={there(plan, item.bbox)}>
                <Icon name="target" size={18} />
                {t("act.go_to")}
              </a>
            )}
            {item.bbox && plan === undefined && (
              <button type="button" class="button-quiet" onClick={() => go(item)}>
                <Icon name="target" size={18} />
                {t("act.go_to")}
              </button>
            )}
          </li>
        ))}
      </ul>
      {found.length > most && (
        <button type="button" class="button" onClick={() => setMost(most + SHOWN)}>
          {t("take.more", { n: found.length - most })}
        </button>
      )}
    </>
  );
}

/** Of the plan on the desk; nothing where it was drawn here. */
export function Findings({ desk }: { desk: DeskState }) {
  const language = useLanguage();
  const found = useLoad<{ items: ImportItem[] }>(
    (signal) => get(`/api/v1/plans/${desk.plan.id}/import`, {}, signal),
    [desk.plan.id, language],
  );
  return (
    <Shown loading={found}>
      {({ items }) =>
        items.length === 0 ? null : (
          <details class="take-findings" open>
            <summary>{t("take.noticed", { n: items.length })}</summary>
            <FindingList desk={desk} items={items} />
          </details>
        )
      }
    </Shown>
  );
}
