/** Put a plan in force: first what it will do, then the act. */

import { useState } from "preact/hooks";
import { type Problem, post } from "../api/client";
import type { Plan, PublishPreview } from "../api/types";
import { number, t } from "../i18n";
import { Dialog } from "./dialog";
import { FieldRow } from "./field_row";
import { Icon } from "./icons";
import { Refused } from "./states";

interface Props {
  plan: Plan;
  onClose: () => void;
  onPublished: (plan: Plan) => void;
}

function Preview({ preview }: { preview: PublishPreview }) {
  return (
    <section class="preview" aria-label={t("publish.preview")}>
      <h3>{t("publish.will")}</h3>
      <dl class="facts">
        <div>
          <dt>{t("publish.communities")}</dt>
          <dd>{number(preview.communities)}</dd>
        </div>
        <div>
          <dt>{t("publish.incidents")}</dt>
          <dd>{number(preview.incidents_rehomed)}</dd>
        </div>
        <div>
          <dt>{t("publish.posts")}</dt>
          <dd>{number(preview.posts_moved)}</dd>
        </div>
        <div>
          <dt>{t("publish.posts_lost")}</dt>
          <dd>{number(preview.posts_lost)}</dd>
        </div>
        <div>
          <dt>{t("publish.cells_kept")}</dt>
          <dd>
            {number(preview.cells_kept)} / {number(preview.cells)}
          </dd>
        </div>
      </dl>
      {preview.replaces.length > 0 ? (
        <>
          <p>{t("publish.replaces")}</p>
          <ul>
            {preview.replaces.map((old) => (
              <li key={old.plan_id}>{old.title}</li>
            ))}
          </ul>
        </>
      ) : (
        <p>{t("publish.replaces_none")}</p>
      )}
    </section>
  );
}

export function PublishDialog({ plan, onClose, onPublished }: Props) {
  const [document_no, setDocument] = useState("");
  const [from, setFrom] = useState("");
  const [preview, setPreview] = useState<PublishPreview | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  const ask = async <T,>(commit: boolean): Promise<T | null> => {
    setBusy(true);
    setProblem(null);
    try {
      return await post<T>(`/api/v1/plans/${plan.id}/publish`, {
        document_no,
        ...(from ? { effective_from: new Date(from).toISOString() } : {}),
        commit,
        ...(commit && preview ? { replaces: preview.replaces.map((old) => old.plan_id) } : {}),
      });
    } catch (reason) {
      setProblem(reason as Problem);
      return null;
    } finally {
      setBusy(false);
    }
  };

  const submit = async (event: Event) => {
    event.preventDefault();
    if (!preview) {
      setPreview(await ask<PublishPreview>(false));
      return;
    }
    const published = await ask<Plan>(true);
    if (published) onPublished(published);
  };

  const changed = (set: (value: string) => void) => (event: Event & { currentTarget: HTMLInputElement }) => {
    set(event.currentTarget.value);
    setPreview(null);
  };

  const foot = (
    <>
      <button type="button" class="button" onClick={onClose}>
        {t("act.cancel")}
      </button>
      <button type="submit" form="publish-form" class="button button-main" disabled={busy || !document_no.trim()}>
        <Icon name={preview ? "publish" : "report"} />
        {preview ? t("publish.commit") : t("publish.show")}
      </button>
    </>
  );

  return (
    <Dialog title={t("publish.title", { plan: plan.title })} onClose={onClose} foot={foot}>
      <form id="publish-form" class="form" onSubmit={submit}>
        <FieldRow label={t("publish.document")} hint={t("publish.document_hint")}>
          <input type="text" required maxLength={80} value={document_no} onInput={changed(setDocument)} />
        </FieldRow>
        <FieldRow label={t("publish.from")} hint={t("publish.from_hint")}>
          <input type="datetime-local" value={from} onInput={changed(setFrom)} />
        </FieldRow>
        {preview && <Preview preview={preview} />}
        <Refused problem={problem} />
      </form>
    </Dialog>
  );
}
