/**
 * Rule sets on the desk: the one of the plan, others, an edited copy with its check beside each field, and what it
 * would make of the plan, in numbers and on the map. A rule set that is stored is never changed; a copy takes over.
 */

import "./rules.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { get, type Problem, post } from "../../api/client";
import type { Area, Id, Paged } from "../../api/types";
import { day, named, number, percent, t, useLanguage, word } from "../../i18n";
import { BAND, INK } from "../../map/colours";
import { Segments } from "../../panels/field_row";
import { Icon } from "../../panels/icons";
import { done, failed } from "../../panels/notice";
import { Failed, sentence, Waiting } from "../../panels/states";
import { useLoad } from "../../state/load";
import { useValue } from "../../state/value";
import type { DeskState } from "../state";
import { Editor } from "./editor";
import { PreviewView } from "./preview_view";
import {
  asSent,
  type Checked,
  type Definition,
  type Draft,
  definitionOf,
  keep,
  kept,
  NOTHING_STATED,
  type Preview,
  type RuleSetInFull,
  type RuleSetLine,
  type RuleTier,
  type Term,
  tomorrow,
} from "./shapes";

type Against = "plan" | "in_force";

/** Typing pauses this long before the server is asked. */
const PAUSE_MS = 300;

/** A value once it has stood still for a moment. */
function useSettled<T>(value: T): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(() => value), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

const bandOf = ({ households_min: low, households_max: high, tolerance_ratio, cell_of, kind }: RuleTier) => {
  if (kind === "area") return word("ruleset_kind", kind);
  if (cell_of !== "band" || (low === null && high === null)) return word("ruleset_cell_of", cell_of);
  const numbers = low === high ? `${low}` : `${low ?? "–"}–${high ?? "–"}`;
  return `${t("ruleset.households_n", { n: numbers })}${tolerance_ratio ? ` ±${percent(tolerance_ratio)}` : ""}`;
};

/** A rule set to read. */
function Shown({ shown }: { shown: RuleSetInFull }) {
  const { definition } = shown;
  const weights = Object.entries(definition.weights);
  return (
    <div class="rules-shown" data-rule-set={shown.id}>
      <p class="rules-dates">
        {named(shown.area)} · {t("ruleset.since", { date: day(shown.valid_from) })}
        {shown.valid_to && ` · ${t("ruleset.until", { date: day(shown.valid_to) })}`}
        {!definition.is_verified && <span class="chip">{t("ruleset.unverified")}</span>}
      </p>
      <ol class="rules-tiers">
        {definition.tiers.map((tier, place) => (
          <li key={`${place}.${tier.name_zh}`}>
            <span class="tier-place">{place + 1}</span>
            <strong>{named(tier)}</strong>
            <span>{bandOf(tier)}</span>
            {tier.posts.length > 0 && (
              <span class="rules-posts">
                {tier.posts
                  .map((one) => (one.holders_min > 1 ? `${named(one)} ×${one.holders_min}` : named(one)))
                  .join(t("ruleset.comma"))}
              </span>
            )}
          </li>
        ))}
      </ol>
      <p class="rules-source">
        <span class="over">{t("ruleset.source")}</span> {definition.source}
      </p>
      {weights.length > 0 && (
        <p class="rules-source">
          <span class="over">{t("ruleset.weights")}</span>{" "}
          {weights
            .map(([name, value]) => `${word("ruleset_weight", name.split(".").at(-1))} ${number(value, 1)}`)
            .join(t("ruleset.comma"))}
        </p>
      )}
      <p class="over">{shown.plans > 0 ? t("ruleset.used", { n: shown.plans }) : t("ruleset.unused")}</p>
    </div>
  );
}

function ImportButton({ onRead }: { onRead: (definition: Definition) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const read = async (file: File | undefined) => {
    if (!file) return;
    try {
      const code = file.name.replace(/\.[^.]*$/, "").slice(0, 60);
      const { definition } = await post<{ definition: Definition }>("/api/v1/rule-sets/read", {
        toml: await file.text(),
        code,
      });
      onRead(definition);
    } catch (reason) {
      failed(reason);
    } finally {
      if (input.current) input.current.value = "";
    }
  };
  return (
    <>
      <button type="button" class="button" onClick={() => input.current?.click()}>
        <Icon name="publish" size={18} />
        {t("ruleset.import")}
      </button>
      <input
        ref={input}
        type="file"
        accept=".toml"
        hidden
        aria-label={t("ruleset.import")}
        onChange={(event) => read(event.currentTarget.files?.[0])}
      />
    </>
  );
}

interface PickerProps {
  sets: readonly RuleSetLine[];
  presets: readonly Definition[];
  chosen: string;
  ofPlan: Id;
  onPick: (key: string) => void;
}

function Picker({ sets, presets, chosen, ofPlan, onPick }: PickerProps) {
  const dated = (one: RuleSetLine) => `${day(one.valid_from)}${one.id === ofPlan ? ` · ${t("ruleset.of_plan")}` : ""}`;
  return (
    <label class="plan-picker">
      <span class="over">{t("ruleset.one")}</span>
      <select value={chosen} onChange={(event) => onPick(event.currentTarget.value)}>
        <optgroup label={t("ruleset.stored")}>
          {sets.map((one) => (
            <option key={one.id} value={String(one.id)}>
              {named(one)}({dated(one)})
            </option>
          ))}
        </optgroup>
        {presets.length > 0 && (
          <optgroup label={t("ruleset.presets")}>
            {presets.map((one) => (
              <option key={one.code} value={one.code}>
                {named(one)}
              </option>
            ))}
          </optgroup>
        )}
      </select>
    </label>
  );
}

/** The cells whose state changes, of the tier on show, over the map. */
function useOverlay(desk: DeskState, preview: Preview | null): void {
  const depth = useValue(desk.depth);
  const language = useLanguage();
  useEffect(() => {
    const features = (preview?.ground?.features ?? [])
      .filter(({ properties }) => properties?.depth === depth)
      .map((one) => ({
        ...one,
        properties: { ...one.properties, said: word("ruleset_turn", one.properties?.becomes) },
      }));
    desk.overlay(
      "rules",
      { type: "FeatureCollection", features },
      {
        fill: ["match", ["get", "becomes"], "in_band", BAND.in_band, "under", BAND.under, BAND.over],
        opacity: 0.5,
        line: INK,
        width: 2.5,
        dash: [2, 1.5],
        label: "said",
      },
    );
    return () => desk.overlay("rules", null);
  }, [desk, preview, depth, language]);
}

interface LookProps {
  desk: DeskState;
  /** A stored rule set by its id, or a proposed one. */
  rules: Id | Definition | null;
  blocked: boolean;
}

/** What the rules make of the plan, or of what is in force. */
function Look({ desk, rules, blocked }: LookProps) {
  const language = useLanguage();
  const seq = useValue(desk.seq);
  const [against, setAgainst] = useState<Against>("plan");
  const looked = useLoad<Preview>(() => {
    if (rules === null || blocked) return null;
    const whose = against === "plan" ? { plan: desk.plan.id } : { area_id: desk.plan.area.id };
    return post<Preview>("/api/v1/rule-sets/preview", { rule_set: rules, ground: true, ...whose });
  }, [rules, blocked, against, seq, language, desk.plan.id]);
  useOverlay(desk, blocked ? null : looked.value);
  const preview = looked.value;
  return (
    <section class="rules-look" aria-label={t("ruleset.preview")} aria-busy={looked.busy}>
      <h3>{t("ruleset.preview")}</h3>
      <Segments
        label={t("ruleset.against")}
        value={against}
        onPick={setAgainst}
        choices={[
          { value: "plan", label: t("ruleset.this_plan") },
          { value: "in_force", label: t("ruleset.in_force") },
        ]}
      />
      {blocked ? (
        <p class="lack">{t("ruleset.mend_first")}</p>
      ) : looked.failure ? (
        <p class="form-problem" role="alert">
          {sentence(looked.failure)}
        </p>
      ) : preview ? (
        <PreviewView
          board={desk.board}
          preview={preview}
          onGo={(cell, depth) => {
            if (desk.board.tier(depth)) desk.depth.set(depth);
            if (desk.board.cells.has(cell.id)) desk.select([cell.id]);
            desk.goTo(cell.bbox);
          }}
        />
      ) : (
        <Waiting />
      )}
    </section>
  );
}

const EMPTY_TERMS: readonly Term[] = [];

export function RulesPanel({ desk }: { desk: DeskState }) {
  const language = useLanguage();
  const area = desk.plan.area.id;
  const ofPlan = desk.plan.rule_set.id;
  const mayEdit = desk.session.permissions.includes("edit_rules");
  const [chosen, setChosen] = useState(String(ofPlan));
  const [draft, setDraft] = useState<Draft | null>(() => kept(area));
  const [saving, setSaving] = useState(false);
  const settled = useSettled(draft);

  const sets = useLoad((signal) => get<Paged<RuleSetLine>>("/api/v1/rule-sets", {}, signal), [language]);
  const presets = useLoad(
    (signal) => (mayEdit ? get<Paged<Definition>>("/api/v1/rule-sets/presets", {}, signal) : null),
    [mayEdit],
  );
  const terms = useLoad((signal) => get<Paged<Term>>("/api/v1/rule-sets/weights", {}, signal), []);
  const id = /^\d+$/.test(chosen) ? Number(chosen) : null;
  const shown = useLoad(
    (signal) => (id === null ? null : get<RuleSetInFull>(`/api/v1/rule-sets/${id}`, {}, signal)),
    [id],
  );
  const preset = presets.value?.items.find(({ code }) => code === chosen);
  const checked = useLoad<{ of: Draft; said: Checked }>(() => {
    if (!settled) return null;
    return post<Checked>("/api/v1/rule-sets/check", {
      area_id: settled.area_id,
      definition: settled.definition,
      valid_from: settled.from || null,
      valid_to: settled.to || null,
      stated: settled.stated,
    }).then((said) => ({ of: settled, said }));
  }, [settled, language]);

  const change = (next: Draft | null) => {
    keep(area, next);
    setDraft(next);
  };
  const copy = (definition: Definition, own?: Area) => {
    const from = tomorrow();
    // Up to the rules that are to follow, so that the dates of the two do not overlap.
    const starts = (sets.value?.items ?? []).filter((one) => one.area.id === area).map((one) => one.valid_from);
    const next = starts.filter((start) => start > from).sort()[0];
    change({
      base: named(definition),
      areas: own && own.id !== area ? [desk.plan.area, own] : [desk.plan.area],
      area_id: area,
      definition: definitionOf(definition),
      from,
      to: next ?? "",
      stated: NOTHING_STATED,
    });
  };
  const save = async () => {
    if (!draft) return;
    setSaving(true);
    try {
      const made = await post<{ id: Id }>("/api/v1/rule-sets", {
        area_id: draft.area_id,
        definition: asSent(draft),
        valid_from: draft.from,
        valid_to: draft.to || null,
      });
      done(t("ruleset.saved", { date: day(draft.from) }));
      change(null);
      sets.again();
      setChosen(String(made.id));
    } catch (reason) {
      failed(reason as Problem);
    } finally {
      setSaving(false);
    }
  };

  if (sets.failure) return <Failed problem={sets.failure} again={sets.again} />;
  if (!sets.value) return <Waiting />;
  const definition = preset ?? shown.value?.definition ?? null;
  const said = checked.value?.said ?? null;
  const fresh = draft !== null && checked.value?.of === draft;
  // Only what has been found free of errors is tried: the answer to an older draft says nothing of this one.
  const proposed = checked.value?.said.may_store ? asSentOnce(checked.value.of) : null;
  return (
    <div class="rules-panel" data-rules={draft ? (fresh ? "checked" : "checking") : "shown"}>
      {draft ? (
        <>
          <Editor
            draft={draft}
            checked={said}
            terms={terms.value?.items ?? EMPTY_TERMS}
            saving={saving}
            onChange={change}
            onSave={save}
            onDrop={() => change(null)}
          />
          {checked.failure && (
            <p class="form-problem" role="alert">
              {sentence(checked.failure)}
            </p>
          )}
          <Look desk={desk} rules={proposed} blocked={said !== null && !said.may_store} />
        </>
      ) : (
        <>
          <Picker
            sets={sets.value.items}
            presets={presets.value?.items ?? []}
            chosen={chosen}
            ofPlan={ofPlan}
            onPick={setChosen}
          />
          {id !== null && shown.failure && <Failed problem={shown.failure} again={shown.again} />}
          {id !== null && shown.value && <Shown shown={shown.value} />}
          {preset && <p class="rules-source">{preset.source}</p>}
          {mayEdit && (
            <div class="rules-acts">
              <button
                type="button"
                class="button button-main"
                disabled={!definition}
                onClick={() => definition && copy(definition, preset ? undefined : shown.value?.area)}
              >
                <Icon name="plus" />
                {t("ruleset.edit_copy")}
              </button>
              {id !== null && (
                <a class="button" href={`/api/v1/rule-sets/${id}/file.toml`} download>
                  <Icon name="download" size={18} />
                  {t("ruleset.export")}
                </a>
              )}
              <ImportButton onRead={(read) => copy(read)} />
            </div>
          )}
          {mayEdit && <Look desk={desk} rules={preset ? definitionFor(preset) : id} blocked={false} />}
        </>
      )}
    </div>
  );
}

// The same object for the same draft, so that nothing is asked for twice.
const sent = new WeakMap<object, Definition>();

function asSentOnce(draft: Draft): Definition {
  const made = sent.get(draft) ?? asSent(draft);
  sent.set(draft, made);
  return made;
}

function definitionFor(preset: Definition): Definition {
  const made = sent.get(preset) ?? definitionOf(preset);
  sent.set(preset, made);
  return made;
}
