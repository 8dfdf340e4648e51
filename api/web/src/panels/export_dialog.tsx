/** Take data away as a file: what, in which format, in which coordinate system, as of when. */

import "../style/export.css";
import { useState } from "preact/hooks";
import { Problem, path } from "../api/client";
import type { Session } from "../api/types";
import { language, number, t, word } from "../i18n";
import { Dialog } from "./dialog";
import { FieldRow, Picker } from "./field_row";
import { Icon } from "./icons";
import { done } from "./notice";
import { Refused } from "./states";

export type Thing =
  | "communities"
  | "compounds"
  | "buildings"
  | "grids"
  | "micro_grids"
  | "draft_grids"
  | "draft_micro_grids"
  | "incidents"
  | "pois"
  | "people"
  | "posts";

const THINGS: readonly Thing[] = [
  "grids",
  "micro_grids",
  "draft_grids",
  "draft_micro_grids",
  "communities",
  "compounds",
  "buildings",
  "incidents",
  "pois",
  "people",
  "posts",
];
const FORMATS = ["gpkg", "shp.zip", "xlsx", "csv", "geojson", "kml", "gpx", "fgb"] as const;
const TABLES: readonly string[] = ["xlsx", "csv"];
const ONLY_WGS84: readonly string[] = ["geojson", "kml", "gpx"];
const SYSTEMS = ["wgs84", "cgcs2000", "gcj02", "bd09"] as const;
const PLACELESS: readonly Thing[] = ["people", "posts"];
const WITH_HISTORY: readonly Thing[] = ["grids", "micro_grids", "buildings", "people", "posts"];
const WITH_PERSONAL: readonly Thing[] = ["incidents", "people"];

/** The end of a day here, as an instant; the beginning where `later` is 0. */
const instant = (day: string, later = 0) =>
  day ? new Date(new Date(`${day}T00:00`).getTime() + later).toISOString() : "";
const DAY_MS = 24 * 3600 * 1000;

async function download(address: string): Promise<number> {
  const answer = await fetch(address, { credentials: "same-origin", headers: { "accept-language": language.value } });
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Problem(answer.status, String(said.code ?? answer.status), String(said.detail ?? ""));
  }
  const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "")?.[1] ?? "export";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return Number(answer.headers.get("x-rows") ?? 0);
}

export function ExportButton({ session, first }: { session: Session; first: Thing }) {
  const [open, setOpen] = useState(false);
  if (!session.permissions.includes("export_data")) return null;
  return (
    <>
      <button type="button" class="button" onClick={() => setOpen(true)}>
        <Icon name="download" />
        {t("export.one")}
      </button>
      {open && <ExportDialog session={session} first={first} onClose={() => setOpen(false)} />}
    </>
  );
}

function ExportDialog({ session, first, onClose }: { session: Session; first: Thing; onClose: () => void }) {
  const [thing, setThing] = useState<Thing>(first);
  const [format, setFormat] = useState<string>("gpkg");
  const [crs, setCrs] = useState("wgs84");
  const [zone, setZone] = useState("");
  const [at, setAt] = useState("");
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [chinese, setChinese] = useState(language.value === "zh");
  const [gbk, setGbk] = useState(false);
  const [personal, setPersonal] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  const things = THINGS.filter((one) => !one.startsWith("draft_") || session.permissions.includes("view_drafts"));
  const placeless = PLACELESS.includes(thing);
  const formats = placeless ? TABLES : FORMATS;
  const chosen = formats.includes(format as never) ? format : (formats[0] as string);
  const system = crs === "other" ? zone.trim() : crs;
  const mayPersonal = session.permissions.includes("view_contacts") && WITH_PERSONAL.includes(thing);

  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const rows = await download(
        path(`/api/v1/export/${thing}.${chosen}`, {
          crs: placeless ? null : system,
          at: WITH_HISTORY.includes(thing) ? instant(at) : null,
          from: thing === "incidents" ? instant(from) : null,
          to: thing === "incidents" ? instant(to, DAY_MS) : null,
          headers: chinese ? "zh" : null,
          encoding: gbk && chosen === "shp.zip" ? "gbk" : null,
          personal: personal && mayPersonal ? true : null,
        }),
      );
      done(t("export.done", { n: number(rows) }));
      onClose();
    } catch (reason) {
      setProblem(reason instanceof Problem ? reason : new Problem(0, "network", ""));
    } finally {
      setBusy(false);
    }
  };

  const foot = (
    <>
      <button type="button" class="button" onClick={onClose}>
        {t("act.cancel")}
      </button>
      <button type="submit" form="export-form" class="button button-main" disabled={busy || !system}>
        <Icon name="download" />
        {busy ? t("export.busy") : t("export.get")}
      </button>
    </>
  );

  return (
    <Dialog title={t("export.title")} onClose={onClose} foot={foot}>
      <form id="export-form" class="form export-form" onSubmit={submit}>
        <div class="form-pair">
          <Picker
            label={t("export.thing")}
            value={thing}
            values={things}
            say={(one) => word("export_thing", one)}
            onPick={setThing}
          />
          <Picker
            label={t("export.format")}
            value={chosen}
            values={formats}
            say={(one) => word("export_format", one)}
            onPick={setFormat}
          />
        </div>
        {!placeless && (
          <Picker
            label={t("export.crs")}
            hint={ONLY_WGS84.includes(chosen) && crs !== "wgs84" ? t("export.only_wgs84") : undefined}
            value={crs}
            values={SYSTEMS}
            say={(one) => word("export_crs", one)}
            onPick={setCrs}
          >
            <option value="other">{t("export.crs_other")}</option>
          </Picker>
        )}
        {!placeless && crs === "other" && (
          <FieldRow label={t("export.zone")} hint={t("export.zone_hint")}>
            <input type="text" required maxLength={40} value={zone} onInput={(e) => setZone(e.currentTarget.value)} />
          </FieldRow>
        )}
        {WITH_HISTORY.includes(thing) && (
          <FieldRow label={t("export.at")} hint={t("export.at_hint")}>
            <input type="date" value={at} onInput={(event) => setAt(event.currentTarget.value)} />
          </FieldRow>
        )}
        {thing === "incidents" && (
          <div class="form-pair">
            <FieldRow label={t("export.from")}>
              <input type="date" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
            </FieldRow>
            <FieldRow label={t("export.to")}>
              <input type="date" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
            </FieldRow>
          </div>
        )}
        <div class="checks">
          <label>
            <input type="checkbox" checked={chinese} onChange={() => setChinese(!chinese)} />
            {t("export.chinese")}
          </label>
          {chosen === "shp.zip" && (
            <label>
              <input type="checkbox" checked={gbk} onChange={() => setGbk(!gbk)} />
              {t("export.gbk")}
            </label>
          )}
          {mayPersonal && (
            <label>
              <input type="checkbox" checked={personal} onChange={() => setPersonal(!personal)} />
              {t("export.personal")}
            </label>
          )}
        </div>
        <Refused problem={problem} />
      </form>
    </Dialog>
  );
}
