/** How the plan is decided on: where it stands, what the person at the desk may do, its way, and the remarks. */

import "../../style/decide.css";
import { useState } from "preact/hooks";
import { t, useLanguage, word } from "../../i18n";
import { Icon, type IconName } from "../../panels/icons";
import { done } from "../../panels/notice";
import { Failed, Waiting } from "../../panels/states";
import type { DeskState } from "../state";
import { Comments } from "./comments";
import { useDecision } from "./decision";
import { EffectsDialog } from "./effects_dialog";
import { StepDialog } from "./step_dialog";
import { Timeline } from "./timeline";
import type { PlanLog, StepKind } from "./types";

const ICONS: Record<StepKind, IconName> = {
  submit: "send",
  recall: "undo",
  review: "check",
  return: "back",
  approve: "star",
  file: "report",
  publish: "publish",
  withdraw: "undo",
  discard: "trash",
};
const FORWARD = new Set<StepKind>(["submit", "review", "approve", "publish"]);
const PENDING = new Set(["draft", "submitted", "reviewed", "approved"]);

/** Whoever could review or approve but for having submitted the plan is told so. */
const isOwnSubmission = (log: PlanLog, permissions: readonly string[]): boolean =>
  (log.status === "submitted" || log.status === "reviewed") &&
  permissions.includes("approve_plan") &&
  !log.may.includes("publish") &&
  log.items.findLast(({ kind }) => kind === "submit")?.is_own === true;

function Standing({ desk, log }: { desk: DeskState; log: PlanLog }) {
  const words = word("decide_waits", log.state);
  return (
    <div class="standing">
      <span class={`chip chip-plan-${log.state}`}>{word("plan_state", log.state)}</span>
      {log.document_no && <strong>{log.document_no}</strong>}
      <p>{words}</p>
      {isOwnSubmission(log, desk.session.permissions) && <p class="standing-own">{t("decide.own")}</p>}
    </div>
  );
}

export function DecidePanel({ desk }: { desk: DeskState }) {
  useLanguage();
  const { log, threads, failure, refresh } = useDecision(desk);
  const [asked, setAsked] = useState<StepKind | "effects" | null>(null);
  if (!log) return failure ? <Failed problem={failure} again={() => void refresh()} /> : <Waiting />;
  const close = () => {
    setAsked(null);
    void refresh();
  };
  const finished = (kind: StepKind, now?: PlanLog) => {
    setAsked(null);
    done(word("decide_done", kind));
    void refresh({ log: now });
  };
  const steps = log.may.filter((kind): kind is StepKind => kind !== "comment");
  // An administrator publishes a draft at once, and is asked for the usual steps first.
  const main = steps.find((kind) => FORWARD.has(kind));
  return (
    <div class="decide">
      <Standing desk={desk} log={log} />
      <div class="acts" role="toolbar" aria-label={t("decide.acts")}>
        {steps.map((kind) => (
          <button
            key={kind}
            type="button"
            class={`button${kind === main ? " button-main" : ""}`}
            onClick={() => setAsked(kind)}
          >
            <Icon name={ICONS[kind]} />
            {word("decide.act", kind)}
          </button>
        ))}
        {PENDING.has(log.status) && !steps.includes("publish") && (
          <button type="button" class="button" onClick={() => setAsked("effects")}>
            <Icon name="info" />
            {t("decide.effects")}
          </button>
        )}
      </div>
      <Timeline log={log} />
      <Comments
        desk={desk}
        threads={threads}
        may={log.may.includes("comment")}
        onChange={(said) => void refresh({ threads: said })}
      />
      {(asked === "effects" || asked === "publish") && (
        <EffectsDialog
          desk={desk}
          log={log}
          acts={asked === "publish"}
          onClose={close}
          onDone={() => finished("publish")}
        />
      )}
      {asked && asked !== "effects" && asked !== "publish" && (
        <StepDialog desk={desk} kind={asked} log={log} onClose={close} onDone={(now) => finished(asked, now)} />
      )}
    </div>
  );
}
