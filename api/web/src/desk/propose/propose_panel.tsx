/** Have the partitioner propose: asked for, watched, compared side by side, accepted wholly or grid by grid. */

import "../../style/propose.css";
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../api/client";
import { named, number, percent, t, useLanguage, word } from "../../i18n";
import { Icon } from "../../panels/icons";
import { failed } from "../../panels/notice";
import { Failed, Waiting } from "../../panels/states";
import { useLoad } from "../../state/load";
import { useValue } from "../../state/value";
import type { DeskState } from "../state";
import { AskForm } from "./ask_form";
import { ProposalView } from "./proposal_view";
import { ScoreTable } from "./score_table";
import type { ProposalRun, Proposals, Told } from "./types";

const ASK_EVERY_MS = 1000;
const isOpen = (run: ProposalRun | null) => run?.state === "queued" || run?.state === "running";

/** Notes of the diagnosis or of a proposal; few at once, the rest on request. */
function Notes({ title, items }: { title: string; items: Told[] }) {
  if (items.length === 0) return null;
  return (
    <details class="propose-notes">
      <summary>
        <Icon name="info" size={18} />
        {title}
      </summary>
      <ul>
        {items.map(({ text }, index) => (
          <li key={index}>{text}</li>
        ))}
      </ul>
    </details>
  );
}

function Running({ desk, run }: { desk: DeskState; run: ProposalRun }) {
  const cancel = () => post(`/api/v1/plans/${desk.plan.id}/proposals/cancel`).catch(failed);
  return (
    <section class={`run run-${run.state}`} aria-label={t("propose.progress")} data-run={run.state} role="status">
      <p class="run-head">
        <strong>{word("run_state", run.state)}</strong>
        {run.total > 0 && <span>{t("propose.communities", { done: number(run.done), total: number(run.total) })}</span>}
      </p>
      <progress max={run.total || undefined} value={run.total ? run.done : undefined} />
      {run.message && <p class="run-message">{run.message}</p>}
      {desk.mayEdit && (
        <button type="button" class="button-quiet" disabled={run.cancel_requested} onClick={cancel}>
          <Icon name="close" size={18} />
          {t("run.cancel")}
        </button>
      )}
    </section>
  );
}

function Ended({ run }: { run: ProposalRun }) {
  if (run.state !== "failed" && run.state !== "cancelled") return null;
  return (
    <p class={`run run-${run.state}`} role="status" data-run={run.state}>
      {run.state === "failed" && <Icon name="warn" size={18} />}
      {word("run_state", run.state)}
      {run.error && `：${run.error.text}`}
    </p>
  );
}

function Results({ desk, told, turn, again }: { desk: DeskState; told: Proposals; turn: number; again: () => void }) {
  const [chosen, setChosen] = useState(1);
  const { run, items } = told;
  if (!run?.before || items.length === 0) return null;
  const at = Math.min(chosen, items.length);
  const line = items[at - 1];
  const columns = [
    { head: t("propose.now"), title: t("propose.now_hint"), scores: run.before },
    ...items.map((item) => ({ head: `${item.number}`, title: named(item.emphasis), scores: item.scores })),
  ];
  const like = line.difference.findIndex((share, index) => index < at - 1 && share < 1e-4);
  return (
    <section class="propose-results" aria-label={t("propose.results")}>
      <ScoreTable
        label={t("propose.results")}
        columns={columns}
        extra={[
          { name: t("propose.moved"), values: [null, ...items.map((item) => item.moved_households)], less: true },
          { name: t("propose.changed"), values: [null, ...items.map((item) => item.cells_changed)], less: true },
        ]}
        chosen={at}
        onPick={setChosen}
      />
      <h3 data-proposal={line.id}>
        {t("propose.number", { n: line.number })} · {named(line.emphasis)}
      </h3>
      {like >= 0 && <p class="propose-hint">{t("propose.alike", { n: like + 1 })}</p>}
      {like < 0 && at > 1 && <p class="propose-hint">{t("propose.differs", { share: percent(line.difference[0]) })}</p>}
      {line.cells_stale > 0 && (
        <p class="form-problem" role="status">
          {t("propose.stale_some", { n: line.cells_stale })}
        </p>
      )}
      <Notes title={t("propose.notes", { n: line.findings.length })} items={line.findings} />
      <ProposalView desk={desk} line={line} turn={turn} onAccepted={again} />
    </section>
  );
}

export function ProposePanel({ desk }: { desk: DeskState }) {
  const language = useLanguage();
  const seq = useValue(desk.seq);
  const [turn, setTurn] = useState(0);
  const loaded = useLoad<Proposals>(
    (signal) => get(`/api/v1/plans/${desk.plan.id}/proposals`, {}, signal),
    [desk.plan.id, language, turn, seq],
  );
  const told = loaded.value;
  const open = isOpen(told?.run ?? null);
  useEffect(() => {
    if (!open) return;
    const timer = setInterval(() => setTurn((n) => n + 1), ASK_EVERY_MS);
    return () => clearInterval(timer);
  }, [open]);
  if (!told) return loaded.failure ? <Failed problem={loaded.failure} again={loaded.again} /> : <Waiting />;
  const { run, broken } = told;
  return (
    <div class="propose" data-proposals={told.items.length}>
      {open && run ? (
        <Running desk={desk} run={run} />
      ) : (
        <>
          {run && <Ended run={run} />}
          {told.items.length === 0 ? (
            <AskForm desk={desk} broken={broken} onStarted={() => setTurn((n) => n + 1)} />
          ) : (
            <details class="propose-again">
              <summary>{t("propose.again")}</summary>
              <AskForm desk={desk} broken={broken} onStarted={() => setTurn((n) => n + 1)} />
            </details>
          )}
        </>
      )}
      {run && <Notes title={t("propose.impossible", { n: run.findings.length })} items={run.findings} />}
      {!open && <Results key={run?.id} desk={desk} told={told} turn={seq} again={() => setTurn((n) => n + 1)} />}
    </div>
  );
}
