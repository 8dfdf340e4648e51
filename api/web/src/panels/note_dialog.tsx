import { useState } from "preact/hooks";
import { t } from "../i18n";
import { Dialog } from "./dialog";
import { FieldRow } from "./field_row";

interface Props {
  title: string;
  required: boolean;
  busy: boolean;
  onClose: () => void;
  onSend: (note: string) => void;
}

/** A few words with an act: why it is refused or sent back, what was done. */
export function NoteDialog({ title, required, busy, onClose, onSend }: Props) {
  const [note, setNote] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    onSend(note.trim());
  };
  const foot = (
    <>
      <button type="button" class="button" onClick={onClose}>
        {t("act.cancel")}
      </button>
      <button type="submit" form="note-form" class="button button-main" disabled={busy || (required && !note.trim())}>
        {title}
      </button>
    </>
  );
  return (
    <Dialog title={title} onClose={onClose} foot={foot}>
      <form id="note-form" class="form" onSubmit={submit}>
        <FieldRow label={required ? t("note.required") : t("note.optional")}>
          <textarea rows={4} maxLength={1000} value={note} onInput={(event) => setNote(event.currentTarget.value)} />
        </FieldRow>
      </form>
    </Dialog>
  );
}
