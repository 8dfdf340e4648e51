/** Hand in a table of places and fetch it back with grids and people: choose a file, see how far it is, download. */

import "../style/geotag.css";
import { useEffect, useState } from "preact/hooks";
import { get, type Problem, post, postForm, remove } from "../api/client";
import type { GeotagRun, Id } from "../api/types";
import { moment, number, percent, t, word } from "../i18n";
import { useLoad } from "../state/load";
import { useValue, Value } from "../state/value";
import { Dialog } from "./dialog";
import { FieldRow } from "./field_row";
import { Icon } from "./icons";
import { failed } from "./notice";
import { Empty, Failed, Refused, Waiting } from "./states";

const RUNS = "/api/v1/geotag/runs";
const ASK_EVERY_MS = 1000;
const ENDINGS = ".csv,.tsv,.txt,.xlsx,.xlsm,.xls,.gpkg,.parquet,.geoparquet,.ndjson,.jsonl,.geojsonl";
const SYSTEMS = ["wgs84", "cgcs2000", "gcj02", "bd09"] as const;
const FORMATS = ["csv", "xlsx", "gpkg", "parquet", "ndjson"] as const;
const open = (run: GeotagRun) => run.state === "queued" || run.state === "running";

const shown = new Value(false);

export const GeotagButton = () => (
  <button type="button" class="button-quiet" aria-label={t("geotag.title")} onClick={() => shown.set(true)}>
    <Icon name="pin" />
    <span class="wide-only">{t("geotag.title")}</span>
  </button>
);

/** Where the dialog is drawn: not within the bar, whose colours are its own. */
export const GeotagPlace = () => (useValue(shown) ? <GeotagDialog onClose={() => shown.set(false)} /> : null);

function GeotagDialog({ onClose }: { onClose: () => void }) {
  const loaded = useLoad((signal) => get<{ items: GeotagRun[] }>(RUNS, {}, signal), []);
  const runs = loaded.value?.items ?? [];
  const busy = runs.some(open);
  useEffect(() => {
    if (!busy) return;
    const timer = setInterval(loaded.again, ASK_EVERY_MS);
    return () => clearInterval(timer);
  }, [busy, loaded.again]);
  const act = (promise: Promise<unknown>) => promise.then(loaded.again, failed);
  return (
    <Dialog title={t("geotag.title")} onClose={onClose}>
      <p class="geotag-about">{t("geotag.about")}</p>
      <GeotagForm onHanded={loaded.again} />
      <h3 class="geotag-heading">{t("geotag.mine")}</h3>
      {loaded.failure && <Failed problem={loaded.failure} again={loaded.again} />}
      {!loaded.value && !loaded.failure && <Waiting />}
      {loaded.value && runs.length === 0 && <Empty icon="list">{t("geotag.none")}</Empty>}
      <ul class="geotag-runs">
        {runs.map((run) => (
          <RunLine
            key={run.id}
            run={run}
            onCancel={(id) => act(post(`${RUNS}/${id}/cancel`))}
            onDelete={(id) => act(remove(`${RUNS}/${id}`))}
          />
        ))}
      </ul>
    </Dialog>
  );
}

function GeotagForm({ onHanded }: { onHanded: () => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [crs, setCrs] = useState("");
  const [other, setOther] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const system = crs === "other" ? other.trim() : crs === "own" ? "" : crs;
  const ready = file && crs && (crs !== "other" || system);

  const send = async (event: Event) => {
    event.preventDefault();
    const element = event.currentTarget as HTMLFormElement;
    const form = new FormData(element);
    form.set("crs", system);
    for (const name of ["system", "system_name"]) form.delete(name);
    setBusy(true);
    setProblem(null);
    try {
      await postForm<GeotagRun>(RUNS, form);
      element.reset();
      setFile(null);
      onHanded();
    } catch (reason) {
      setProblem(reason as Problem);
    }
    setBusy(false);
  };

  return (
    <form class="form" onSubmit={send} aria-label={t("geotag.hand_in")}>
      <FieldRow label={t("geotag.file")} hint={t("geotag.file_hint")}>
        <input
          type="file"
          name="file"
          accept={ENDINGS}
          required
          onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)}
        />
      </FieldRow>
      <div class="form-pair">
        <FieldRow label={t("geotag.crs")}>
          <select name="system" required value={crs} onChange={(event) => setCrs(event.currentTarget.value)}>
            <option value="">{t("geotag.crs_choose")}</option>
            {SYSTEMS.map((one) => (
              <option key={one} value={one}>
                {word("geotag_crs", one)}
              </option>
            ))}
            <option value="own">{t("geotag.crs_own")}</option>
            <option value="other">{t("geotag.crs_other")}</option>
          </select>
        </FieldRow>
        {crs === "other" ? (
          <FieldRow label={t("geotag.crs_name")}>
            <input
              type="text"
              name="system_name"
              placeholder="EPSG:4549"
              maxLength={60}
              value={other}
              onInput={(event) => setOther(event.currentTarget.value)}
            />
          </FieldRow>
        ) : (
          <FieldRow label={t("geotag.format")}>
            <select name="format">
              <option value="">{t("geotag.format_same")}</option>
              {FORMATS.map((one) => (
                <option key={one} value={one}>
                  {word("geotag_format", one)}
                </option>
              ))}
            </select>
          </FieldRow>
        )}
      </div>
      <details class="geotag-more">
        <summary>{t("geotag.more")}</summary>
        <div class="geotag-columns">
          <FieldRow label={t("geotag.lon")}>
            <input type="text" name="lon" maxLength={200} />
          </FieldRow>
          <FieldRow label={t("geotag.lat")}>
            <input type="text" name="lat" maxLength={200} />
          </FieldRow>
          <FieldRow label={t("geotag.address")} hint={t("geotag.address_hint")}>
            <input type="text" name="address" maxLength={200} />
          </FieldRow>
        </div>
        <label class="geotag-check">
          <input type="checkbox" name="phones" value="true" />
          {t("geotag.phones")}
        </label>
      </details>
      <Refused problem={problem} />
      <button type="submit" class="button button-main" disabled={busy || !ready}>
        <Icon name="publish" />
        {busy ? t("geotag.sending") : t("geotag.hand_in")}
      </button>
    </form>
  );
}

interface LineProps {
  run: GeotagRun;
  onCancel: (id: Id) => void;
  onDelete: (id: Id) => void;
}

function RunLine({ run, onCancel, onDelete }: LineProps) {
  const running = run.state === "running";
  return (
    <li class={`geotag-run geotag-run-${run.state}`} data-geotag={run.state}>
      <div class="geotag-run-head">
        <strong class="geotag-name">{run.file_name}</strong>
        <span class="geotag-state">
          {run.state === "failed" && <Icon name="warn" size={18} />}
          {word("geotag_state", run.state)}
          {running && ` ${percent(run.progress_ratio)}`}
        </span>
      </div>
      {open(run) && <progress aria-label={run.file_name} max={1} value={running ? run.progress_ratio : undefined} />}
      {run.error && <p class="geotag-problem">{run.error.detail}</p>}
      {run.summary && <Summary run={run} summary={run.summary} />}
      <div class="geotag-acts">
        <time class="geotag-time">{moment(run.created_at)}</time>
        {open(run) && (
          <button type="button" class="button-quiet" onClick={() => onCancel(run.id)}>
            <Icon name="close" size={18} />
            {t("geotag.cancel")}
          </button>
        )}
        {run.state === "done" && (
          <a class="button" href={`${RUNS}/${run.id}/result`} download={run.result_name ?? ""}>
            <Icon name="arrow" turn={180} size={18} />
            {t("geotag.download")}
          </a>
        )}
        {!running && (
          <button type="button" class="button-quiet" onClick={() => onDelete(run.id)}>
            <Icon name="trash" size={18} />
            {t("geotag.delete")}
          </button>
        )}
      </div>
    </li>
  );
}

function Summary({ run, summary }: { run: GeotagRun; summary: NonNullable<GeotagRun["summary"]> }) {
  const found = summary.rows - summary.none;
  return (
    <div class="geotag-summary">
      <p>{t("geotag.summary", { rows: number(summary.rows), found: number(found), none: number(summary.none) })}</p>
      {summary.none > 0 && (
        <ul class="geotag-reasons" aria-label={t("geotag.reasons", { file: run.file_name })}>
          {Object.entries(summary.reasons).map(([reason, rows]) => (
            <li key={reason}>
              {word("geotag_reason", reason)} <span>{number(rows)}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
