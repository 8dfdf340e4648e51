/** Hand in an existing division; how far it is, and what was noticed before the draft is opened. */

import { useEffect, useState } from "preact/hooks";
import { get, type Problem, path } from "../../api/client";
import type { Id } from "../../api/types";
import { number, t, useLanguage, word } from "../../i18n";
import { Dialog } from "../../panels/dialog";
import { FieldRow } from "../../panels/field_row";
import { Icon } from "../../panels/icons";
import { Shown } from "../../panels/shown";
import { Refused } from "../../panels/states";
import { useLoad } from "../../state/load";
import { useValue } from "../../state/value";
import { FindingList, type ImportItem } from "./findings";
import { ImportProgress } from "./import_progress";
import { again, handIn, type ImportRun, isOpen, lookedAt, runs, sending } from "./imports";

const ENDINGS = ".gpkg,.zip,.geojson,.json,.kml,.fgb,.parquet,.csv,.tsv,.txt,.xlsx,.xls,.ods";
const SYSTEMS = ["wgs84", "cgcs2000", "gcj02", "bd09"] as const;

/** An area whose communities may be divided. */
export interface Place {
  id: Id;
  name: string;
}

interface Props {
  places: readonly Place[];
  /** The import to look at; without one, a file is asked for. */
  first: Id | null;
  onClose: () => void;
}

export function ImportDialog({ places, first, onClose }: Props) {
  const [chosen, setChosen] = useState<Id | null>(first);
  const upload = useValue(sending);
  useEffect(() => {
    lookedAt.set(chosen);
    return () => lookedAt.set(null);
  }, [chosen]);
  const run = useValue(runs).find(({ id }) => id === chosen) ?? null;
  const isDone = run?.state === "done" && run.plan_id !== null;
  const asks = !upload && (run === null || run.state === "cancelled");
  return (
    <Dialog
      title={t("take.import_open")}
      onClose={onClose}
      foot={
        isDone && (
          <a class="button button-main" href={path("/desk", { plan: run.plan_id, tab: "take" })}>
            <Icon name="into" />
            {t("take.open_draft")}
          </a>
        )
      }
    >
      {/* Kept while the file is on its way: what was said of it counts again if the way breaks. */}
      <div hidden={!asks}>
        <HandIn places={places} onHanded={setChosen} />
      </div>
      {(upload || (run && isOpen(run))) && <ImportProgress run={upload ? null : run} />}
      {!upload && run?.state === "failed" && <Retry key={run.id} run={run} onOther={() => setChosen(null)} />}
      {!upload && isDone && <Outcome run={run} />}
    </Dialog>
  );
}

function Outcome({ run }: { run: ImportRun }) {
  const language = useLanguage();
  const found = useLoad<{ items: ImportItem[] }>(
    (signal) => get(`/api/v1/plans/${run.plan_id}/import`, {}, signal),
    [run.plan_id, language],
  );
  const { summary } = run;
  const told = summary && {
    communities: number(summary.communities),
    cells: summary.cells.map((count) => number(count)).join(" / "),
    buildings: number(summary.buildings),
    households: number(summary.households),
  };
  return (
    <div class="take-outcome">
      {told && <p role="status">{t("take.taken", told)}</p>}
      <Shown loading={found}>{({ items }) => <FindingList items={items} plan={run.plan_id ?? undefined} />}</Shown>
    </div>
  );
}

/** What coordinates are in, where the file does not say it. */
function useSystem(first = "") {
  const known = first === "" || (SYSTEMS as readonly string[]).includes(first);
  const [crs, setCrs] = useState(known ? first : "other");
  const [other, setOther] = useState(known ? "" : first);
  return { crs, setCrs, other, setOther, said: crs === "other" ? other.trim() : crs };
}

function SystemFields({ system }: { system: ReturnType<typeof useSystem> }) {
  const { crs, setCrs, other, setOther } = system;
  return (
    <div class={crs === "other" ? "form-pair" : undefined}>
      <FieldRow label={t("take.crs")} hint={t("take.crs_hint")}>
        <select value={crs} onChange={(event) => setCrs(event.currentTarget.value)}>
          <option value="">{t("take.crs_own")}</option>
          {SYSTEMS.map((one) => (
            <option key={one} value={one}>
              {word("export_crs", one)}
            </option>
          ))}
          <option value="other">{t("take.crs_other")}</option>
        </select>
      </FieldRow>
      {crs === "other" && (
        <FieldRow label={t("take.crs_name")}>
          <input
            type="text"
            placeholder="EPSG:4549"
            maxLength={60}
            value={other}
            onInput={(event) => setOther(event.currentTarget.value)}
          />
        </FieldRow>
      )}
    </div>
  );
}

/** An import that failed: why, and another try with the file that is there. */
function Retry({ run, onOther }: { run: ImportRun; onOther: () => void }) {
  const system = useSystem(run.error?.params.reading ?? run.crs ?? "");
  const [trust, setTrust] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    await again(run, system.said, trust).catch(setProblem);
    setBusy(false);
  };
  return (
    <form class="form" onSubmit={send} aria-label={t("take.again")}>
      <p class="take-file">{run.file_name}</p>
      <p class="form-problem" role="alert">
        {run.error?.detail}
      </p>
      <SystemFields system={system} />
      {run.error?.code === "take.looks_shifted" && (
        <label class="take-check">
          <input type="checkbox" checked={trust} onChange={(event) => setTrust(event.currentTarget.checked)} />
          {t("take.trust")}
        </label>
      )}
      <Refused problem={problem} />
      <div class="acts">
        <button type="submit" class="button button-main" disabled={busy}>
          <Icon name="refresh" />
          {t("take.again")}
        </button>
        <button type="button" class="button" onClick={onOther}>
          {t("take.other_file")}
        </button>
      </div>
    </form>
  );
}

function HandIn({ places, onHanded }: { places: readonly Place[]; onHanded: (id: Id) => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [title, setTitle] = useState("");
  const [place, setPlace] = useState<Id | undefined>(places[0]?.id);
  const system = useSystem();
  const [problem, setProblem] = useState<Problem | null>(null);

  const send = async (event: Event) => {
    event.preventDefault();
    if (!file || place === undefined) return;
    const form = new FormData();
    form.set("area_id", String(place));
    form.set("title", title.trim() || file.name.replace(/\.[^.]+$/, ""));
    if (system.said) form.set("crs", system.said);
    form.set("file", file);
    setProblem(null);
    try {
      const id = await handIn(form, file);
      if (id !== null) onHanded(id);
    } catch (reason) {
      setProblem(reason as Problem);
    }
  };

  return (
    <form class="form" onSubmit={send} aria-label={t("take.import")}>
      {places.length === 1 ? (
        <p class="take-note">{t("take.import_about", { area: places[0]?.name ?? "" })}</p>
      ) : (
        <FieldRow label={t("take.area")}>
          <select value={place} onChange={(event) => setPlace(Number(event.currentTarget.value))}>
            {places.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </FieldRow>
      )}
      <FieldRow label={t("take.file")} hint={t("take.file_hint")}>
        <input
          type="file"
          accept={ENDINGS}
          required
          onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)}
        />
      </FieldRow>
      <FieldRow label={t("take.title")}>
        <input
          type="text"
          maxLength={200}
          value={title}
          placeholder={file?.name.replace(/\.[^.]+$/, "") ?? ""}
          onInput={(event) => setTitle(event.currentTarget.value)}
        />
      </FieldRow>
      <SystemFields system={system} />
      <Refused problem={problem} />
      <div class="acts">
        <button type="submit" class="button button-main" disabled={!file}>
          <Icon name="into" />
          {t("take.hand_in")}
        </button>
      </div>
    </form>
  );
}
