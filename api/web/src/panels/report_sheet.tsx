/** A report in three taps: what it is, where it is, send. */

import { useEffect, useState } from "preact/hooks";
import { Problem, post } from "../api/client";
import type { Category, GeotagAnswer, IncidentFeature, Place } from "../api/types";
import { named, number, t, useLanguage, word } from "../i18n";
import type { Draft } from "../state/draft";
import { cellInCommunity } from "./cell_name";
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

/** Signs by the board that a category belongs to; beside the words, never instead of them. */
const SIGNS: readonly [RegExp, IconName][] = [
  [/sanit|garbage|clean|environ|litter/, "trash"],
  [/safe|fire|hazard|security/, "warn"],
  [/dispute|neighbour|people|service|welfare/, "people"],
  [/park|vendor|trolley|street|traffic/, "trolley"],
  [/build|facil|public|road/, "building"],
];

const signOf = (category: Category): IconName =>
  SIGNS.find(([pattern]) => pattern.test(`${category.board ?? ""} ${category.code}`))?.[1] ?? "pin";

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

/** Who answers for a place, asked for once the map has come to rest. */
function Whose({ place }: { place: Place | null }) {
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
  if (!answer) return <p class="whose">{t("report.finding")}</p>;
  const cell = answer.micro_grid ?? answer.grid;
  if (answer.how === "none" || !cell) return <p class="whose whose-none">{t("report.nobody")}</p>;
  return (
    <div class="whose" data-how={answer.how}>
      <p>
        <Icon name="grid" size={18} />
        <strong>{cellInCommunity(answer.community?.name, cell)}</strong>
      </p>
      {answer.people[0] && (
        <p>
          <Icon name="user" size={18} />
          {answer.people[0].name} {postOf(answer.people[0])}
        </p>
      )}
      {answer.how !== "inside" && (
        <p class="whose-none">
          {word("how", answer.how)}
          {answer.distance_m !== null && ` ${number(answer.distance_m)} m`}
        </p>
      )}
    </div>
  );
}

export function ReportSheet({ categories, draft, aim, onDraft, onSent, onLeave }: Props) {
  const step = stepOf(draft);
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
          <Whose place={aim} />
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
        <Send draft={draft} name={(category ? named(category) : draft.category) ?? ""} onSent={onSent} />
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
    <ul class="category-grid" aria-label={t("report.what")}>
      {categories.map((category) => (
        <li key={category.code}>
          <button type="button" data-category={category.code} onClick={() => onPick(category.code)}>
            <Icon name={signOf(category)} size={30} />
            {named(category)}
          </button>
        </li>
      ))}
    </ul>
  );
}

function Send({ draft, name, onSent }: { draft: Draft; name: string; onSent: (incident: IncidentFeature) => void }) {
  const [note, setNote] = useState("");
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
        request_id: draft.request_id,
      });
      onSent(incident);
    } catch (reason) {
      setProblem(reason instanceof Problem ? reason : new Problem(-1, "bug", String(reason)));
      setBusy(false);
    }
  };
  return (
    <div class="send-sheet">
      <h2>{name}</h2>
      <Whose place={draft.place} />
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
