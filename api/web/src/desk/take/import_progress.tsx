/** How far an import is: bytes on their way, then the steps of the work; and the list of one's own imports. */

import { path } from "../../api/client";
import { moment, number, percent, t, word } from "../../i18n";
import { Icon } from "../../panels/icons";
import { Steps } from "../../panels/steps";
import { useValue } from "../../state/value";
import { cancel, forget, type ImportRun, isOpen, runs, type Sending, sending } from "./imports";

const STEPS = ["sending", "queued", "reading", "checking", "placing", "dividing", "storing"] as const;
type Step = (typeof STEPS)[number];

const megabytes = (bytes: number) => number(bytes / 1e6, 1);
const sentOf = ({ sent, total }: Sending) => t("take.sent", { sent: megabytes(sent), total: megabytes(total) });
const stepOf = (run: ImportRun): Step => (run.state === "queued" || run.step === null ? "queued" : run.step);

/** Communities, where a step goes from one to the next. */
const countOf = ({ done, total }: ImportRun) =>
  total > 0 ? t("survey.communities", { done: number(done), total: number(total) }) : undefined;

/** The work in full, for the dialog. */
export function ImportProgress({ run }: { run: ImportRun | null }) {
  const upload = useValue(sending);
  const step = run ? stepOf(run) : "sending";
  const counts: Partial<Record<Step, string | undefined>> = {
    sending: upload ? sentOf(upload) : undefined,
    [step]: run ? countOf(run) : upload ? sentOf(upload) : undefined,
  };
  const share = run ? run.progress_ratio : upload ? upload.sent / Math.max(upload.total, 1) : 0;
  const stop = () => (run ? void cancel(run) : upload?.stop());
  return (
    <div class="take-work" data-import={run?.state ?? "sending"}>
      <p class="take-file">{run?.file_name ?? upload?.name}</p>
      <progress max={1} value={step === "queued" ? undefined : share} aria-label={word("take_step", step)} />
      <p class="read-only" role="status">
        {word("take_step", step)}
      </p>
      <Steps
        at={STEPS.indexOf(step)}
        steps={STEPS.map((key) => ({ key, label: word("take_step", key), count: counts[key] }))}
      />
      <p class="take-note">{run ? t("take.may_leave") : t("take.stay")}</p>
      <div class="acts">
        <button type="button" class="button" disabled={run?.cancel_requested} onClick={stop}>
          <Icon name="close" size={18} />
          {run?.cancel_requested ? t("take.stopping") : t("take.stop")}
        </button>
      </div>
    </div>
  );
}

/** Everything of one's own that is under way or was handed in lately. */
export function ImportList({ onLook }: { onLook: (run: ImportRun) => void }) {
  const upload = useValue(sending);
  const items = useValue(runs);
  if (!upload && items.length === 0) return null;
  return (
    <ul class="take-runs" aria-label={t("take.mine")}>
      {upload && (
        <li class="take-run" data-import="sending">
          <p class="take-run-head">
            <strong>{upload.name}</strong>
            <span>{sentOf(upload)}</span>
          </p>
          <progress max={Math.max(upload.total, 1)} value={upload.sent} aria-label={word("take_step", "sending")} />
          <div class="take-run-acts">
            <button type="button" class="button-quiet" onClick={upload.stop}>
              <Icon name="close" size={18} />
              {t("take.stop")}
            </button>
          </div>
        </li>
      )}
      {items.map((run) => (
        <Line key={run.id} run={run} onLook={onLook} />
      ))}
    </ul>
  );
}

function Line({ run, onLook }: { run: ImportRun; onLook: (run: ImportRun) => void }) {
  const open = isOpen(run);
  return (
    <li class="take-run" data-import={run.state}>
      <p class="take-run-head">
        <strong>{run.title}</strong>
        <span>
          {run.state === "failed" && <Icon name="warn" size={18} />}
          {run.state === "running" ? percent(run.progress_ratio) : word("take_state", run.state)}
        </span>
      </p>
      {open && (
        <progress max={1} value={run.state === "running" ? run.progress_ratio : undefined} aria-label={run.title} />
      )}
      {open && (
        <p class="take-run-said">{[word("take_step", stepOf(run)), countOf(run)].filter(Boolean).join(" · ")}</p>
      )}
      {run.error && <p class="take-run-said">{run.error.detail}</p>}
      <div class="take-run-acts">
        <time>{moment(run.created_at)}</time>
        {open && (
          <button type="button" class="button-quiet" disabled={run.cancel_requested} onClick={() => void cancel(run)}>
            <Icon name="close" size={18} />
            {run.cancel_requested ? t("take.stopping") : t("take.stop")}
          </button>
        )}
        {(open || run.state === "failed" || run.state === "done") && (
          <button type="button" class="button-quiet" onClick={() => onLook(run)}>
            <Icon name={run.state === "failed" ? "wrench" : "list"} size={18} />
            {t(`take.look_${run.state === "failed" ? "failed" : open ? "open" : "done"}`)}
          </button>
        )}
        {run.plan_id !== null && (
          <a class="button-quiet" href={path("/desk", { plan: run.plan_id, tab: "take" })}>
            <Icon name="into" size={18} />
            {t("take.open_draft")}
          </a>
        )}
        {!open && (
          <button type="button" class="button-quiet" onClick={() => void forget(run)}>
            <Icon name="trash" size={18} />
            {t("take.forget")}
          </button>
        )}
      </div>
    </li>
  );
}
