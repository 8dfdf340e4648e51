import { useState } from "preact/hooks";
import { post } from "../api/client";
import type { Plan } from "../api/types";
import { t } from "../i18n";
import { Dialog } from "./dialog";
import { FieldRow } from "./field_row";
import { Icon } from "./icons";
import { failed } from "./notice";

/** A plan that is no draft is edited as a new draft that begins with it. */
export function DraftDialog({ plan, onClose }: { plan: Plan; onClose: () => void }) {
  const [title, setTitle] = useState(t("desk.draft_title", { plan: plan.title }));
  const [busy, setBusy] = useState(false);
  const make = (event: Event) => {
    event.preventDefault();
    setBusy(true);
    post<Plan>(`/api/v1/plans/${plan.id}/drafts`, { title }).then(
      (made) => location.assign(`/desk?plan=${made.id}`),
      (problem) => {
        setBusy(false);
        failed(problem);
      },
    );
  };
  const foot = (
    <>
      <button type="button" class="button" onClick={onClose}>
        {t("act.cancel")}
      </button>
      <button type="submit" form="draft-form" class="button button-main" disabled={busy || !title.trim()}>
        <Icon name="pen" />
        {t("desk.make_draft")}
      </button>
    </>
  );
  return (
    <Dialog title={t("desk.edit")} onClose={onClose} foot={foot}>
      <form class="form" id="draft-form" onSubmit={make}>
        <p>{t("desk.edit_ask", { plan: plan.title })}</p>
        <FieldRow label={t("run.plan_title")}>
          <input value={title} maxLength={120} onInput={(event) => setTitle(event.currentTarget.value)} />
        </FieldRow>
      </form>
    </Dialog>
  );
}
