import { useMemo } from "preact/hooks";
import { get } from "../../api/client";
import { moment, t, useLanguage, word } from "../../i18n";
import { Icon } from "../../panels/icons";
import { Shown } from "../../panels/shown";
import { Empty } from "../../panels/states";
import { useLoad } from "../../state/load";
import { useValue } from "../../state/value";
import { undo } from "../commands";
import { joined } from "../plane";
import type { DeskState } from "../state";
import type { Change, Changes } from "../types";

const EARLIER = 100;
const NAMED = 4;

function show(desk: DeskState, change: Change): void {
  const cells = change.cells.filter(({ id }) => desk.board.cells.has(id));
  if (cells.length === 0) return;
  const lowest = Math.max(...cells.map(({ depth }) => depth));
  desk.depth.set(lowest);
  desk.select(cells.filter(({ depth }) => depth === lowest).map(({ id }) => id));
  desk.goTo(cells.map(({ bbox }) => bbox).reduce(joined));
}

/** The cells of the lowest tier that a change touched, by name. */
function touchedBy(change: Change): string {
  const lowest = Math.max(0, ...change.cells.map(({ depth }) => depth));
  const names = change.cells.filter(({ depth }) => depth === lowest).map((cell) => cell.name || cell.code);
  return names.length > NAMED ? `${names.slice(0, NAMED).join("、")} …` : names.join("、");
}

/** What a change was, in words. */
export const toldOf = (change: Change): string =>
  (change.undoes === null ? "" : `${t("desk.undoes", { n: change.undoes })}: `) +
  (change.summary?.text ?? `${word("desk_kind", change.kind)} ${touchedBy(change)}`);

/** Every edit of the plan, newest first: who, when, what, with a way there. */
export function HistoryPanel({ desk }: { desk: DeskState }) {
  useLanguage();
  const heard = useValue(desk.changes);
  const undoing = useValue(desk.undoStep);
  const first = useMemo(() => (heard[0]?.seq ?? desk.seq.value + 1) - 1, []);
  const earlier = useLoad<Changes>(
    (signal) => get(`/api/v1/plans/${desk.plan.id}/edits`, { since: Math.max(0, first - EARLIER), wait: 0 }, signal),
    [desk.plan.id],
  );
  return (
    <Shown loading={earlier}>
      {({ changes }) => {
        const all = new Map([...changes, ...heard].map((change) => [change.seq, change]));
        const undone = new Set([...all.values()].flatMap((change) => change.undoes ?? []));
        const rows = [...all.values()].sort((a, b) => b.seq - a.seq);
        if (rows.length === 0) return <Empty icon="clock">{t("desk.no_history")}</Empty>;
        return (
          <>
            {desk.mayEdit && (
              <button type="button" class="button" disabled={!undoing.can} onClick={() => undo(desk)}>
                <Icon name="undo" size={18} />
                {t("desk.undo_latest")}
              </button>
            )}
            <ol class="edits" aria-label={word("desk_tab", "history")}>
              {rows.map((change) => (
                <li key={change.seq} class={undone.has(change.seq) ? "edit edit-undone" : "edit"}>
                  <span class="edit-seq">{change.seq}</span>
                  <div>
                    <p>{toldOf(change)}</p>
                    <p class="over">
                      {change.actor ?? t("desk.somebody")} · {moment(change.at)}
                    </p>
                  </div>
                  <button type="button" class="button-quiet" onClick={() => show(desk, change)}>
                    <Icon name="target" size={18} />
                    {t("act.go_to")}
                  </button>
                </li>
              ))}
            </ol>
          </>
        );
      }}
    </Shown>
  );
}
