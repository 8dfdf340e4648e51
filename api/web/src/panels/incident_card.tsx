/** One incident: what, where, whose, what was done, and what may be done now. */

import { useState } from "preact/hooks";
import { get, post } from "../api/client";
import type { Id, IncidentDetail } from "../api/types";
import { moment, named, t, word } from "../i18n";
import { useLoad } from "../state/load";
import { requestId } from "../state/request_id";
import { cellInCommunity } from "./cell_name";
import { DispatchDialog } from "./dispatch_dialog";
import { Icon } from "./icons";
import { NoteDialog } from "./note_dialog";
import { done, failed } from "./notice";
import { People } from "./people";
import { Failed, Waiting } from "./states";
import { categoryOf, StatusMark } from "./status_mark";

/** Acts that say why: the others go through at a click. */
const WITH_NOTE = new Set(["reject", "return", "resolve", "rework", "comment"]);
/** The way forward is drawn as the main button. */
const FORWARD = new Set(["accept", "dispatch", "start", "resolve", "verify", "close"]);

type DetailAnswer = IncidentDetail | GeoJSON.Feature<GeoJSON.Point, IncidentDetail>;

export const plain = (answer: DetailAnswer): IncidentDetail =>
  "properties" in answer ? { ...answer.properties } : answer;

interface Props {
  id: Id;
  /** Grows when the incident is known to have changed. */
  seq: number | undefined;
  onClose: () => void;
  onChanged: () => void;
}

export function IncidentCard({ id, seq, onClose, onChanged }: Props) {
  const loaded = useLoad<IncidentDetail>(
    (signal) => get<DetailAnswer>(`/api/v1/incidents/${id}`, {}, signal).then(plain),
    [id, seq],
  );
  const [asking, setAsking] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const incident = loaded.value?.id === id ? loaded.value : null;

  const act = async (action: string, more: Record<string, unknown> = {}) => {
    if (!incident) return;
    setBusy(true);
    try {
      await post(`/api/v1/incidents/${id}/actions`, {
        action,
        expected_seq: incident.last_seq,
        request_id: requestId(),
        ...more,
      });
      setAsking(null);
      done(t("incident.did", { action: word("action", action) }));
      onChanged();
    } catch (reason) {
      failed(reason);
    } finally {
      setBusy(false);
      loaded.again();
    }
  };

  const press = (action: string) => {
    if (action === "dispatch" || WITH_NOTE.has(action)) setAsking(action);
    else void act(action);
  };

  return (
    <aside class="card incident-card" aria-label={t("incident.title")} data-incident={id} aria-busy={loaded.busy}>
      <header class="card-head">
        <div>
          <p class="over code">{incident?.code}</p>
          <h2>{incident?.title ?? t("state.loading")}</h2>
        </div>
        <button type="button" class="button-bare" aria-label={t("act.close")} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      {!incident ? (
        loaded.failure ? (
          <Failed problem={loaded.failure} again={loaded.again} />
        ) : (
          <Waiting />
        )
      ) : (
        <>
          <p class="incident-line">
            <StatusMark status={incident.status} />
            <span class="chip">{categoryOf(incident)}</span>
            {incident.severity !== null && incident.severity !== undefined && (
              <span class="chip">{word("grade", String(incident.severity))}</span>
            )}
          </p>
          {incident.description && <p class="description">{incident.description}</p>}
          <div class="card-acts">
            {incident.allowed_actions.map((action) => (
              <button
                key={action}
                type="button"
                class={FORWARD.has(action) ? "button button-main" : "button"}
                disabled={busy}
                data-action={action}
                onClick={() => press(action)}
              >
                {word("action", action)}
              </button>
            ))}
          </div>
          <Facts incident={incident} />
          <h3>{t("people.title")}</h3>
          <People people={incident.people ?? []} />
          <h3>{t("incident.log")}</h3>
          <Log incident={incident} />
        </>
      )}
      {asking === "dispatch" && incident && (
        <DispatchDialog
          incident={incident}
          busy={busy}
          onClose={() => setAsking(null)}
          onSend={(more) => act("dispatch", more)}
        />
      )}
      {asking && asking !== "dispatch" && (
        <NoteDialog
          title={word("action", asking)}
          required={asking !== "resolve"}
          busy={busy}
          onClose={() => setAsking(null)}
          onSend={(note) => act(asking, note ? { note } : {})}
        />
      )}
    </aside>
  );
}

function Facts({ incident }: { incident: IncidentDetail }) {
  const rows: [string, string | null | undefined][] = [
    [
      t("incident.grid"),
      incident.grid_code ? cellInCommunity(incident, { name: incident.grid_name, code: incident.grid_code }) : null,
    ],
    [t("incident.place"), [incident.compound_name, incident.building_name].filter(Boolean).join(" ")],
    [t("incident.lead"), named(incident.lead_department)],
    [t("incident.assignee"), incident.assignee?.name],
    [t("incident.reported"), moment(incident.reported_at)],
    [t("incident.due"), incident.due_at ? moment(incident.due_at) : null],
  ];
  return (
    <dl class="facts facts-rows">
      {rows
        .filter(([, value]) => value)
        .map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

function Log({ incident }: { incident: IncidentDetail }) {
  return (
    <ol class="log">
      {[...(incident.log ?? [])].reverse().map((entry) => (
        <li key={entry.seq}>
          <time dateTime={entry.occurred_at}>{moment(entry.occurred_at)}</time>
          <span class="log-act">{word("action", entry.action)}</span>
          <span>{entry.actor}</span>
          {entry.note && <p class="log-note">{entry.note}</p>}
        </li>
      ))}
    </ol>
  );
}
