import { useEffect, useState } from "preact/hooks";
import { get, post } from "../api/client";
import type { Plan, Run } from "../api/types";
import { number, t, word } from "../i18n";
import { Icon } from "./icons";
import { failed } from "./notice";

const ASK_EVERY_MS = 1000;
const ENDED = new Set(["done", "failed", "cancelled"]);

interface Props {
  plan: Plan;
  first: Run;
  mayCancel: boolean;
  onEnd: (run: Run) => void;
}

/** How far a partition has come; asks once a second until it has ended. */
export function RunProgress({ plan, first, mayCancel, onEnd }: Props) {
  const [run, setRun] = useState(first);
  const ended = ENDED.has(run.state);
  useEffect(() => {
    if (ended) return;
    const timer = setInterval(async () => {
      try {
        const next = await get<Run>(`/api/v1/plans/${plan.id}/run`);
        setRun(next);
        if (ENDED.has(next.state)) {
          clearInterval(timer);
          onEnd(next);
        }
      } catch {
        // The banner tells that the connection is lost; the next second asks again.
      }
    }, ASK_EVERY_MS);
    return () => clearInterval(timer);
  }, [plan.id, ended, onEnd]);
  const cancel = () => post(`/api/v1/plans/${plan.id}/run/cancel`).catch(failed);
  return (
    <section class={`run run-${run.state}`} aria-label={t("run.progress")} data-run={run.state}>
      <p class="run-head">
        {run.state === "failed" && <Icon name="warn" size={18} />}
        <strong>{word("run_state", run.state)}</strong>
        {run.total > 0 && !ended && (
          <span>
            {number(run.done)} / {number(run.total)}
          </span>
        )}
      </p>
      {!ended && <progress max={run.total || undefined} value={run.total ? run.done : undefined} />}
      {run.message && <p class="run-message">{run.message}</p>}
      {!ended && mayCancel && (
        <button type="button" class="button-quiet" onClick={cancel}>
          <Icon name="close" size={18} />
          {t("run.cancel")}
        </button>
      )}
    </section>
  );
}
