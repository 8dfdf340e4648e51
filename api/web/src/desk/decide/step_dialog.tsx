/** One step of a plan: what it means, the words it needs, and the act. */

import { useState } from "preact/hooks";
import { type Problem, post } from "../../api/client";
import type { Plan } from "../../api/types";
import { t, word } from "../../i18n";
import { Dialog } from "../../panels/dialog";
import { FieldRow } from "../../panels/field_row";
import { Refused } from "../../panels/states";
import type { DeskState } from "../state";
import { addressOf } from "./decision";
import type { PlanLog, StepKind } from "./types";

const WITH_DOCUMENT = new Set<StepKind>(["approve", "file"]);
const WITHOUT_WORDS = new Set<StepKind>(["withdraw", "discard"]);
const HARMS = new Set<StepKind>(["return", "withdraw", "discard"]);

interface Props {
  desk: DeskState;
  kind: StepKind;
  log: PlanLog;
  onClose: () => void;
  onDone: (log?: PlanLog) => void;
}

function bodyOf(kind: StepKind, log: PlanLog, comment: string, document_no: string) {
  if (WITHOUT_WORDS.has(kind)) return {};
  const seen = kind === "file" ? {} : { revision: log.revision };
  return { ...seen, comment, ...(WITH_DOCUMENT.has(kind) ? { document_no } : {}) };
}

export function StepDialog({ desk, kind, log, onClose, onDone }: Props) {
  const [comment, setComment] = useState("");
  const [document_no, setDocument] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const act = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const told = await post<PlanLog | Plan>(addressOf(desk, kind), bodyOf(kind, log, comment, document_no));
      onDone("items" in told ? told : undefined);
    } catch (reason) {
      setProblem(reason as Problem);
      setBusy(false);
    }
  };
  const foot = (
    <>
      <button type="button" class="button" onClick={onClose}>
        {t("act.cancel")}
      </button>
      <button
        type="submit"
        form="step-form"
        class={`button ${HARMS.has(kind) ? "button-danger" : "button-main"}`}
        disabled={busy}
      >
        {word("decide.act", kind)}
      </button>
    </>
  );
  return (
    <Dialog title={word("decide.act", kind)} onClose={onClose} foot={foot}>
      <form id="step-form" class="form" onSubmit={act}>
        <p>{word("decide.means", kind)}</p>
        {WITH_DOCUMENT.has(kind) && (
          <FieldRow
            label={t(kind === "file" ? "decide.file_no" : "publish.document")}
            hint={t("publish.document_hint")}
          >
            <input
              type="text"
              required
              maxLength={200}
              value={document_no}
              onInput={(event) => setDocument(event.currentTarget.value)}
            />
          </FieldRow>
        )}
        {!WITHOUT_WORDS.has(kind) && (
          <FieldRow label={t(kind === "return" ? "decide.reason" : "decide.note")}>
            <textarea
              rows={3}
              required={kind === "return"}
              maxLength={2000}
              value={comment}
              onInput={(event) => setComment(event.currentTarget.value)}
            />
          </FieldRow>
        )}
        <Refused problem={problem} />
      </form>
    </Dialog>
  );
}
