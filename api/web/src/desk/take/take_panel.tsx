/** Bring and take: an existing division in, the plan out as a file or on paper. */

import "../../style/take.css";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "../../api/client";
import { language, named, t, useLanguage, word } from "../../i18n";
import { Picker, Segments } from "../../panels/field_row";
import { Icon } from "../../panels/icons";
import { done } from "../../panels/notice";
import { Refused } from "../../panels/states";
import { useValue } from "../../state/value";
import type { DeskState } from "../state";
import { type Progress, save } from "./fetching";
import { Findings } from "./findings";
import { Import } from "./import";

const LAYERS = ["grids", "micro_grids", "plan"] as const;
const FORMATS = ["gpkg", "shp.zip", "geojson", "kml", "xlsx"] as const;
const WHOLE: readonly string[] = ["gpkg", "xlsx"];
const ONLY_WGS84: readonly string[] = ["geojson", "kml"];
const SYSTEMS = ["wgs84", "cgcs2000", "gcj02", "bd09"] as const;
const KINDS = ["atlas", "boards", "report"] as const;

/** Something that is fetched: whether it is under way, how far, and why it was refused. */
function useFetching() {
  const [busy, setBusy] = useState(false);
  const [far, setFar] = useState<Progress | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);
  const run = async (address: string, query: [string, string][], told: string) => {
    stop.current = new AbortController();
    setBusy(true);
    setProblem(null);
    try {
      await save(address, query, stop.current.signal, setFar);
      done(told);
    } catch (reason) {
      if ((reason as Error).name !== "AbortError") setProblem(reason as Problem);
    }
    setFar(null);
    setBusy(false);
  };
  return { busy, far, problem, run, cancel: () => stop.current?.abort() };
}

type Fetching = ReturnType<typeof useFetching>;

function Foot({ fetching, label, icon }: { fetching: Fetching; label: string; icon: "download" | "report" }) {
  const { busy, far, problem } = fetching;
  return (
    <>
      <Refused problem={problem} />
      <div class="acts">
        <button type="submit" class="button button-main" disabled={busy}>
          <Icon name={icon} />
          {busy ? t("take.busy") : label}
        </button>
        {busy && (
          <button type="button" class="button" onClick={fetching.cancel}>
            {t("act.cancel")}
          </button>
        )}
      </div>
      {far && (
        <div class="take-progress" role="status">
          <progress max={Math.max(far.total, 1)} value={far.done} aria-label={t("take.printing")} />
          <span>{far.total ? t("take.pages_done", { done: far.done, total: far.total }) : t("take.queued")}</span>
        </div>
      )}
    </>
  );
}

function ExportForm({ desk }: { desk: DeskState }) {
  const fetching = useFetching();
  const [layer, setLayer] = useState<string>("grids");
  const [format, setFormat] = useState<string>("gpkg");
  const [crs, setCrs] = useState("wgs84");
  const [chinese, setChinese] = useState(language.value === "zh");
  const formats = layer === "plan" ? WHOLE : FORMATS;
  const chosen = formats.includes(format as never) ? format : (formats[0] as string);
  const free = layer !== "plan" && !ONLY_WGS84.includes(chosen);
  const submit = (event: Event) => {
    event.preventDefault();
    const query: [string, string][] = [["headers", chinese ? "zh" : "code"]];
    if (free) query.push(["crs", crs]);
    void fetching.run(`/api/v1/plans/${desk.plan.id}/export/${layer}.${chosen}`, query, t("take.exported"));
  };
  return (
    <form class="form" onSubmit={submit} aria-label={t("take.export")}>
      <div class="form-pair">
        <Picker
          label={t("take.layer")}
          value={layer}
          values={LAYERS}
          say={(one) => word("take_layer", one)}
          onPick={setLayer}
        />
        <Picker
          label={t("take.format")}
          value={chosen}
          values={formats}
          say={(one) => word("export_format", one)}
          onPick={setFormat}
        />
      </div>
      {free && (
        <Picker
          label={t("take.crs")}
          value={crs}
          values={SYSTEMS}
          say={(one) => word("export_crs", one)}
          onPick={setCrs}
        />
      )}
      <label class="take-check">
        <input type="checkbox" checked={chinese} onChange={(event) => setChinese(event.currentTarget.checked)} />
        {t("take.chinese")}
      </label>
      {layer === "plan" && <p class="take-note">{t("take.plan_note")}</p>}
      <Foot fetching={fetching} label={t("take.save")} icon="download" />
    </form>
  );
}

/** The grids among what is chosen: of a micro-grid the one above it. */
function chosenGrids(desk: DeskState): number[] {
  const kinds = new Map(desk.tiers.map(({ depth, kind }) => [depth, kind]));
  const found = new Set<number>();
  for (const id of desk.selection.value.cells) {
    let cell = desk.board.cells.get(id);
    while (cell && kinds.get(cell.depth) === "micro_grid" && cell.parent !== null)
      cell = desk.board.cells.get(cell.parent);
    if (cell && cell.id > 0) found.add(cell.id);
  }
  return [...found];
}

function PrintForm({ desk }: { desk: DeskState }) {
  const fetching = useFetching();
  useValue(desk.selection);
  const [kind, setKind] = useState<(typeof KINDS)[number]>("atlas");
  const [paper, setPaper] = useState<"A4" | "A3">("A4");
  const [turn, setTurn] = useState<"landscape" | "portrait">("landscape");
  const [part, setPart] = useState<"all" | "chosen">("all");
  const [phones, setPhones] = useState(false);
  const cells = chosenGrids(desk);
  const pages = kind !== "report";
  const mayCall = desk.session.permissions.includes("view_contacts");
  const submit = (event: Event) => {
    event.preventDefault();
    const query: [string, string][] = [];
    if (pages) query.push(["paper", paper], ["orientation", turn]);
    if (pages && part === "chosen") for (const id of cells) query.push(["cells", String(id)]);
    if (pages && phones && mayCall) query.push(["phones", "true"]);
    void fetching.run(`/api/v1/plans/${desk.plan.id}/${kind}.pdf`, query, t("take.printed"));
  };
  const choose = (next: (typeof KINDS)[number]) => {
    setKind(next);
    setTurn(next === "boards" ? "portrait" : "landscape");
  };
  return (
    <form class="form" onSubmit={submit} aria-label={t("take.print")}>
      <Segments
        label={t("take.print")}
        value={kind}
        onPick={choose}
        choices={KINDS.map((value) => ({ value, label: word("take_print", value) }))}
      />
      <p class="take-note">{word("take_print_note", kind)}</p>
      {pages && (
        <>
          <div class="form-pair">
            <Segments
              label={t("take.paper")}
              value={paper}
              onPick={setPaper}
              choices={[
                { value: "A4", label: "A4" },
                { value: "A3", label: "A3" },
              ]}
            />
            <Segments
              label={t("take.orientation")}
              value={turn}
              onPick={setTurn}
              choices={[
                { value: "landscape", label: t("take.landscape") },
                { value: "portrait", label: t("take.portrait") },
              ]}
            />
          </div>
          <Segments
            label={t("take.pages")}
            value={part}
            onPick={setPart}
            choices={[
              { value: "all", label: t("take.all") },
              { value: "chosen", label: t("take.chosen", { n: cells.length }) },
            ]}
          />
          {part === "chosen" && cells.length === 0 && <p class="take-note">{t("take.choose_first")}</p>}
          {mayCall && (
            <label class="take-check">
              <input type="checkbox" checked={phones} onChange={(event) => setPhones(event.currentTarget.checked)} />
              {t("take.phones")}
            </label>
          )}
        </>
      )}
      <Foot fetching={fetching} label={t("take.make")} icon="report" />
    </form>
  );
}

export function TakePanel({ desk }: { desk: DeskState }) {
  useLanguage();
  const may = desk.session.permissions;
  return (
    <div class="take">
      <section>
        <h3>{t("take.import")}</h3>
        {may.includes("draw_plan") && <Import places={[{ id: desk.plan.area.id, name: named(desk.plan.area) }]} />}
        <Findings desk={desk} />
      </section>
      {may.includes("export_data") && (
        <section>
          <h3>{t("take.export")}</h3>
          <ExportForm desk={desk} />
        </section>
      )}
      <section>
        <h3>{t("take.print")}</h3>
        <PrintForm desk={desk} />
      </section>
    </div>
  );
}
