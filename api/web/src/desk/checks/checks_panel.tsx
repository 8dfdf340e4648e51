import { useEffect, useState } from "preact/hooks";
import { get } from "../../api/client";
import { t, useLanguage, word } from "../../i18n";
import { Icon, type IconName } from "../../panels/icons";
import { Shown } from "../../panels/shown";
import { Empty } from "../../panels/states";
import { useLoad } from "../../state/load";
import { useValue } from "../../state/value";
import { namedText, nameOf } from "../names";
import type { DeskState } from "../state";
import type { Check } from "../types";

const SHOWN = 200;
const REST_MS = 600;
const NEAR_DEGREES = 0.0008;

const SIGNS: Record<string, IconName> = { violation: "warn", error: "error", rejected: "error", warning: "warn" };

/** A number that follows another once that has come to rest, so that strokes in a row ask once. */
function useRested(value: number): number {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), REST_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return rested;
}

function go(desk: DeskState, check: Check): void {
  const cell = check.cell_id === null ? undefined : desk.board.cells.get(check.cell_id);
  if (cell) {
    if (cell.depth !== desk.depth.value) desk.depth.set(cell.depth);
    const faces = check.building_id === null ? [] : desk.board.facesOfBuilding(check.building_id);
    desk.select(
      [cell.id],
      faces.map(({ id }) => id),
    );
  } else if (check.building_id !== null) {
    desk.select(
      [],
      desk.board.facesOfBuilding(check.building_id).map(({ id }) => id),
    );
  }
  const { lon, lat } = check;
  if (check.bbox) desk.goTo(check.bbox);
  else if (lon !== null && lat !== null) {
    desk.goTo([lon - NEAR_DEGREES, lat - NEAR_DEGREES, lon + NEAR_DEGREES, lat + NEAR_DEGREES]);
  } else if (cell) desk.goTo(cell.bbox);
}

function Kinds({
  items,
  chosen,
  onPick,
}: {
  items: Check[];
  chosen: string | null;
  onPick: (code: string | null) => void;
}) {
  const counts = new Map<string, number>();
  for (const { code } of items) counts.set(code, (counts.get(code) ?? 0) + 1);
  return (
    <fieldset class="check-kinds" aria-label={t("desk.check_kinds")}>
      {[...counts].map(([code, n]) => (
        <button
          key={code}
          type="button"
          class="chip"
          aria-pressed={chosen === code}
          onClick={() => onPick(chosen === code ? null : code)}
        >
          {word("desk_check", code.split(".").at(-1))} {n}
        </button>
      ))}
    </fieldset>
  );
}

function List({ desk, items }: { desk: DeskState; items: Check[] }) {
  const [kind, setKind] = useState<string | null>(null);
  const found = kind === null ? items : items.filter(({ code }) => code === kind);
  if (items.length === 0) return <Empty icon="check">{t("violations.none")}</Empty>;
  return (
    <>
      <Kinds items={items} chosen={kind} onPick={setKind} />
      <ul class="violations" aria-label={word("desk_tab", "checks")}>
        {found.slice(0, SHOWN).map((check, index) => (
          <li key={index} class={`violation violation-${check.severity}`} data-check={check.code}>
            <Icon name={SIGNS[check.severity] ?? "info"} />
            <div>
              <p class="violation-head">
                <span class="severity">{word("desk_check", check.code.split(".").at(-1))}</span>
                {check.cell_id !== null && <code>{nameOf(desk.board, check.cell_id)}</code>}
                <button type="button" class="button-quiet" onClick={() => go(desk, check)}>
                  <Icon name="target" size={18} />
                  {t("act.go_to")}
                </button>
              </p>
              <p>{namedText(desk.board, check.text)}</p>
            </div>
          </li>
        ))}
      </ul>
      {found.length > SHOWN && <p class="lack">{t("cells.more_short", { n: found.length - SHOWN })}</p>}
    </>
  );
}

/** Whatever breaks a rule of the draft as it stands, each with a way there. */
export function ChecksPanel({ desk }: { desk: DeskState }) {
  const language = useLanguage();
  const seq = useRested(useValue(desk.seq));
  const town = useValue(desk.town);
  const checks = useLoad<{ items: Check[] }>(
    (signal) => get(`/api/v1/plans/${desk.plan.id}/checks`, {}, signal),
    [desk.plan.id, seq, town, language],
  );
  return (
    <div class="desk-checks" data-checked={checks.busy ? "busy" : seq}>
      <Shown loading={checks}>{({ items }) => <List desk={desk} items={items} />}</Shown>
    </div>
  );
}
