/** Give an incident to a department, and to a person if one is known. */

import { useState } from "preact/hooks";
import { get } from "../api/client";
import type { Category, Department, IncidentDetail, Paged, Staff } from "../api/types";
import { named, t } from "../i18n";
import { useLoad } from "../state/load";
import { Dialog } from "./dialog";
import { FieldRow } from "./field_row";
import { Icon } from "./icons";
import { Failed, Waiting } from "./states";

interface Choices {
  departments: Department[];
  staff: Staff[];
  usual: string;
}

const rows = <T,>(answer: Paged<T> | T[]): T[] => (Array.isArray(answer) ? answer : answer.items);

async function choices(incident: IncidentDetail, signal: AbortSignal): Promise<Choices> {
  const [departments, staff, categories] = await Promise.all([
    get<Paged<Department> | Department[]>("/api/v1/departments", { limit: 1000 }, signal).then(rows),
    incident.grid_id
      ? get<Paged<Staff> | Staff[]>("/api/v1/staff", { grid: incident.grid_id }, signal).then(rows)
      : Promise.resolve([]),
    get<Paged<Category> | Category[]>("/api/v1/categories", {}, signal).then(rows),
  ]);
  const usual = categories.find((category) => category.code === incident.category)?.department ?? "";
  return { departments, staff, usual };
}

interface Props {
  incident: IncidentDetail;
  busy: boolean;
  onClose: () => void;
  onSend: (more: { department: string; assignee?: number; note?: string }) => void;
}

export function DispatchDialog(props: Props) {
  const loaded = useLoad((signal) => choices(props.incident, signal), [props.incident.id]);
  if (!loaded.value) {
    return (
      <Dialog title={t("dispatch.title")} onClose={props.onClose}>
        {loaded.failure ? <Failed problem={loaded.failure} again={loaded.again} /> : <Waiting />}
      </Dialog>
    );
  }
  return <DispatchForm {...props} choices={loaded.value} />;
}

function DispatchForm({ choices: { departments, staff, usual }, busy, onClose, onSend }: Props & { choices: Choices }) {
  const known = departments.some((department) => department.code === usual);
  const [department, setDepartment] = useState(known ? usual : (departments[0]?.code ?? ""));
  const [assignee, setAssignee] = useState("");
  const [note, setNote] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    onSend({
      department,
      ...(assignee ? { assignee: Number(assignee) } : {}),
      ...(note.trim() ? { note: note.trim() } : {}),
    });
  };
  const foot = (
    <>
      <button type="button" class="button" onClick={onClose}>
        {t("act.cancel")}
      </button>
      <button type="submit" form="dispatch-form" class="button button-main" disabled={busy || !department}>
        <Icon name="send" />
        {t("dispatch.send")}
      </button>
    </>
  );
  return (
    <Dialog title={t("dispatch.title")} onClose={onClose} foot={foot}>
      <form id="dispatch-form" class="form" onSubmit={submit}>
        <FieldRow label={t("dispatch.department")} hint={known ? t("dispatch.usual") : undefined}>
          <select value={department} onChange={(event) => setDepartment(event.currentTarget.value)}>
            {departments.map((one) => (
              <option key={one.code} value={one.code}>
                {named(one)}
              </option>
            ))}
          </select>
        </FieldRow>
        <FieldRow label={t("dispatch.assignee")} hint={t("dispatch.assignee_hint")}>
          <select value={assignee} onChange={(event) => setAssignee(event.currentTarget.value)}>
            <option value="">{t("dispatch.no_one")}</option>
            {staff.map((person) => (
              <option key={person.id} value={String(person.id)}>
                {[person.name, ...person.posts.map(named)].join(" · ")}
              </option>
            ))}
          </select>
        </FieldRow>
        <FieldRow label={t("note.optional")}>
          <textarea rows={3} maxLength={1000} value={note} onInput={(event) => setNote(event.currentTarget.value)} />
        </FieldRow>
      </form>
    </Dialog>
  );
}
