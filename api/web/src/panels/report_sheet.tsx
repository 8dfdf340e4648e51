/** A report in three taps: what it is, where it is, send. */

import { useEffect, useState } from "preact/hooks";
import { Problem, post } from "../api/client";
import type { Category, GeotagAnswer, IncidentFeature, Place } from "../api/types";
import { named, number, t, useLanguage, word } from "../i18n";
import type { Draft } from "../state/draft";
import { noteCategory, recentCategories } from "../state/recent";
import { cellName } from "./cell_name";
import { Icon, type IconName } from "./icons";
import { postOf } from "./people";
import { sentence, Waiting } from "./states";

interface Props {
  categories: readonly Category[] | null;
  draft: Draft;
  /** The middle of the map while the place is being chosen. */
  aim: Place | null;
  onDraft: (draft: Draft) => void;
  onSent: (incident: IncidentFeature) => void;
  onLeave: () => void;
}

export type Step = "category" | "place" | "send";

export const stepOf = (draft: Draft): Step => (!draft.category ? "category" : !draft.placed ? "place" : "send");

/** Signs by the class that a code begins with; beside the words, never instead of them. */
const SIGNS: Record<string, IconName> = {
  B01: "wrench",
  B02: "road",
  B03: "trash",
  B04: "tree",
  B05: "building",
  S01: "trash",
  S02: "report",
  S03: "building",
  S04: "trolley",
  S05: "warn",
  S06: "noise",
  T01: "people",
  T02: "people",
  T03: "info",
  T04: "info",
};

const signOf = ({ code }: Category): IconName => SIGNS[code.slice(0, 3)] ?? "pin";

/** Components, events, matters of residents: the first letter of a code. */
const GROUPS = ["B", "S", "T"] as const;

function grouped(categories: readonly Category[]): { group: string; rows: Category[] }[] {
  const recent = recentCategories().flatMap((code) => categories.filter((one) => one.code === code));
  const groups = GROUPS.map((group) => ({ group, rows: categories.filter((one) => one.code.startsWith(group)) }));
  const others = categories.filter((one) => !GROUPS.some((group) => one.code.startsWith(group)));
  return [{ group: "recent", rows: recent }, ...groups, { group: "other", rows: others }].filter(
    ({ rows }) => rows.length > 0,
  );
}

const STEPS: readonly Step[] = ["category", "place", "send"];

function Steps({ now }: { now: Step }) {
  return (
    <ol class="steps" aria-label={t("report.steps")}>
      {STEPS.map((step, index) => (
        <li key={step} aria-current={step === now ? "step" : undefined}>
          <span>{index + 1}</span>
          {word("report_step", step)}
        </li>
      ))}
    </ol>
  );
}

/** Who answers for a place, asked for once the map has come to rest; null until it is known. */
function useGeotag(place: Place | null): GeotagAnswer | null {
  const language = useLanguage();
  const [answer, setAnswer] = useState<GeotagAnswer | null>(null);
  const [lon, lat] = place ?? [null, null];
  useEffect(() => {
    let late = false;
    setAnswer(null);
    if (lon === null) return;
    post<GeotagAnswer>("/api/v1/geotag", { lon, lat }).then(
      (found) => !late && setAnswer(found),
      () => undefined,
    );
    return () => {
      late = true;
    };
  }, [lon, lat, language]);
  return answer;
}

const MOST_NAMED = 3;

/** The cell that answers, or where several come into question (a border, floors over one another) their grids. */
function cellsOf(answer: GeotagAnswer): string {
  const lowest = answer.micro_grid ?? answer.grid;
  const cells = lowest ? [lowest] : answer.candidates.flatMap((one) => one.grid ?? one.micro_grid ?? []);
  const names = [...new Set(cells.map(cellName))].slice(0, MOST_NAMED).join(" / ");
  return names && [named(answer.community), names].filter(Boolean).join(" ");
}

function Whose({ answer }: { answer: GeotagAnswer | null }) {
  if (!answer) return <p class="whose">{t("report.finding")}</p>;
  const cells = cellsOf(answer);
  if (!cells) return <p class="whose whose-none">{t("report.nobody")}</p>;
  const person = answer.people[0];
  return (
    <div class="whose" data-how={answer.how}>
      <p>
        <Icon name="grid" size={18} /> <strong>{cells}</strong>
      </p>
      {person && (
        <p>
          <Icon name="user" size={18} /> {person.name} {postOf(person)}
        </p>
      )}
      {answer.how === "border" && <p class="whose-none">{word("how", "border")}</p>}
      {answer.how === "nearest" && answer.distance_m !== null && (
        <p class="whose-none">
          {word("how", "nearest")} {number(answer.distance_m)} m
        </p>
      )}
    </div>
  );
}

export function ReportSheet({ categories, draft, aim, onDraft, onSent, onLeave }: Props) {
  const step = stepOf(draft);
  const geotag = useGeotag(step === "place" ? aim : draft.place);
  const category = categories?.find((one) => one.code === draft.category);
  const back = () => {
    if (step === "category") onLeave();
    else if (step === "place") onDraft({ ...draft, category: null });
    else onDraft({ ...draft, placed: false });
  };
  return (
    <section class={`report report-${step}`} aria-label={t("report.title")} data-step={step}>
      <header class="report-head">
        <button type="button" class="button-bare" aria-label={t("act.back")} onClick={back}>
          <Icon name="back" size={26} />
        </button>
        <Steps now={step} />
      </header>
      {step === "category" && (
        <Categories categories={categories} onPick={(code) => onDraft({ ...draft, category: code })} />
      )}
      {step === "place" && (
        <div class="place-sheet">
          <p>{t("report.aim")}</p>
          <Whose answer={geotag} />
          <button
            type="button"
            class="button button-main button-big"
            disabled={!aim}
            onClick={() => onDraft({ ...draft, place: aim, placed: true })}
          >
            <Icon name="pin" />
            {t("report.here")}
          </button>
        </div>
      )}
      {step === "send" && (
        <Send
          draft={draft}
          geotag={geotag}
          name={(category ? named(category) : draft.category) ?? ""}
          onSent={onSent}
        />
      )}
    </section>
  );
}

function Categories({
  categories,
  onPick,
}: {
  categories: readonly Category[] | null;
  onPick: (code: string) => void;
}) {
  if (!categories) return <Waiting />;
  return (
    <div class="category-sheet">
      {grouped(categories).map(({ group, rows }) => (
        <section key={group} aria-label={word("category_group", group)}>
          <h2>{word("category_group", group)}</h2>
          <ul class="category-grid">
            {rows.map((category) => (
              <li key={category.code}>
                <button type="button" data-category={category.code} onClick={() => onPick(category.code)}>
                  <Icon name={signOf(category)} size={28} />
                  {named(category)}
                </button>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}

interface SendProps {
  draft: Draft;
  geotag: GeotagAnswer | null;
  name: string;
  onSent: (incident: IncidentFeature) => void;
}

function Send({ draft, geotag, name, onSent }: SendProps) {
  const [note, setNote] = useState("");
  const [floor, setFloor] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const send = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const [lon, lat] = draft.place!;
      const incident = await post<IncidentFeature>("/api/v1/incidents", {
        lon,
        lat,
        ...(draft.accuracy_m === null ? {} : { accuracy_m: draft.accuracy_m }),
        category: draft.category,
        title: name,
        ...(note.trim() ? { description: note.trim() } : {}),
        ...(floor === "" ? {} : { floor: Number(floor) }),
        request_id: draft.request_id,
      });
      if (draft.category) noteCategory(draft.category);
      onSent(incident);
    } catch (reason) {
      setProblem(reason instanceof Problem ? reason : new Problem(-1, "bug", String(reason)));
      setBusy(false);
    }
  };
  return (
    <div class="send-sheet">
      <h2>{name}</h2>
      <Whose answer={geotag} />
      {geotag?.flags.includes("needs_floor") && (
        <label class="field-row">
          <span class="field-label">{t("report.floor")}</span>
          <input
            type="number"
            inputmode="numeric"
            min={-20}
            max={500}
            value={floor}
            onInput={(event) => setFloor(event.currentTarget.value)}
          />
          <span class="field-hint">{t("report.floor_hint")}</span>
        </label>
      )}
      <label class="field-row">
        <span class="field-label">{t("report.note")}</span>
        <textarea rows={4} maxLength={1000} value={note} onInput={(event) => setNote(event.currentTarget.value)} />
        <span class="field-hint">{t("report.note_hint")}</span>
      </label>
      {problem && (
        <p class="form-problem" role="alert">
          {sentence(problem)} {problem.lostNetwork && t("report.kept")}
        </p>
      )}
      <button type="button" class="button button-main button-big" disabled={busy} onClick={send}>
        <Icon name={problem ? "refresh" : "send"} />
        {busy ? t("report.sending") : problem ? t("report.retry") : t("report.send")}
      </button>
    </div>
  );
}
