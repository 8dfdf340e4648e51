/** Hand in an existing division; what was noticed is told before it is opened. */

import { useState } from "preact/hooks";
import { type Problem, path, postForm } from "../../api/client";
import type { Id } from "../../api/types";
import { number, t, word } from "../../i18n";
import { Dialog } from "../../panels/dialog";
import { FieldRow } from "../../panels/field_row";
import { Icon } from "../../panels/icons";
import { Refused } from "../../panels/states";
import type { DeskState } from "../state";
import { FindingList, type ImportItem } from "./findings";

const ENDINGS = ".gpkg,.zip,.geojson,.json,.kml,.fgb,.parquet,.csv,.tsv,.txt,.xlsx,.xls,.ods";
const SYSTEMS = ["wgs84", "cgcs2000", "gcj02", "bd09"] as const;

interface Taken {
  plan_id: Id;
  communities: number;
  cells: number[];
  buildings: number;
  households: number;
  findings: ImportItem[];
}

export function ImportDialog({ desk, onClose }: { desk: DeskState; onClose: () => void }) {
  const [taken, setTaken] = useState<Taken | null>(null);
  return (
    <Dialog
      title={t("take.import_open")}
      onClose={onClose}
      foot={
        taken && (
          <a class="button button-main" href={path("/desk", { plan: taken.plan_id, tab: "take" })}>
            <Icon name="into" />
            {t("take.open_draft")}
          </a>
        )
      }
    >
      {taken ? <Outcome desk={desk} taken={taken} /> : <HandIn desk={desk} onTaken={setTaken} />}
    </Dialog>
  );
}

function Outcome({ desk, taken }: { desk: DeskState; taken: Taken }) {
  const told = {
    communities: number(taken.communities),
    cells: taken.cells.map((count) => number(count)).join(" / "),
    buildings: number(taken.buildings),
    households: number(taken.households),
  };
  return (
    <div class="take-outcome">
      <p role="status">{t("take.taken", told)}</p>
      <FindingList desk={desk} items={taken.findings} plan={taken.plan_id} />
    </div>
  );
}

function HandIn({ desk, onTaken }: { desk: DeskState; onTaken: (taken: Taken) => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [title, setTitle] = useState("");
  const [crs, setCrs] = useState("");
  const [other, setOther] = useState("");
  const [trust, setTrust] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const system = crs === "other" ? other.trim() : crs;

  const send = async (event: Event) => {
    event.preventDefault();
    if (!file) return;
    const form = new FormData();
    form.set("area_id", String(desk.plan.area.id));
    form.set("title", title.trim() || file.name.replace(/\.[^.]+$/, ""));
    if (system) form.set("crs", system);
    if (trust) form.set("trust_crs", "true");
    form.set("file", file);
    setBusy(true);
    setProblem(null);
    try {
      onTaken(await postForm<Taken>("/api/v1/plans/import", form));
    } catch (reason) {
      setProblem(reason as Problem);
    }
    setBusy(false);
  };

  return (
    <form class="form" onSubmit={send} aria-label={t("take.import")}>
      <p class="take-note">{t("take.import_about", { area: desk.plan.area.name })}</p>
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
      <div class="form-pair">
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
      {(trust || problem?.code === "take.looks_shifted") && (
        <label class="take-check">
          <input type="checkbox" checked={trust} onChange={(event) => setTrust(event.currentTarget.checked)} />
          {t("take.trust")}
        </label>
      )}
      <Refused problem={problem} />
      <div class="acts">
        <button type="submit" class="button button-main" disabled={busy || !file}>
          <Icon name="into" />
          {busy ? t("take.reading") : t("take.hand_in")}
        </button>
      </div>
      {busy && (
        <p class="take-note" role="status">
          {t("take.reading_note")}
        </p>
      )}
    </form>
  );
}
