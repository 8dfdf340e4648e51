/** Order a partition: which communities, by which rules, how hard to try. */

import { useMemo, useState } from "preact/hooks";
import { all, get, type Problem, post } from "../api/client";
import type { Area, Id, Paged, Plan, RuleSet, Run } from "../api/types";
import { named, t } from "../i18n";
import { communitiesUnder, upperAreas, usualArea } from "../state/areas";
import { useLoad } from "../state/load";
import { Dialog } from "./dialog";
import { type Effort, EffortField, SeedField } from "./effort_fields";
import { FieldRow } from "./field_row";
import { Icon } from "./icons";
import { Empty, Failed, Refused, Waiting } from "./states";

interface Choices {
  areas: Area[];
  rules: RuleSet[];
}

async function choices(signal: AbortSignal): Promise<Choices> {
  const [areas, rules] = await Promise.all([
    all<Area>("/api/v1/areas", { geometry: false }),
    get<Paged<RuleSet> | RuleSet[]>("/api/v1/rule-sets", {}, signal),
  ]);
  return { areas: areas.rows, rules: Array.isArray(rules) ? rules : rules.items };
}

interface Props {
  onClose: () => void;
  onStarted: (plan: Plan) => void;
}

/** What must be there before anything can be divided. */
function lacking({ areas, rules }: Choices): string | null {
  if (upperAreas(areas).length === 0) return t("take.no_areas");
  return rules.length === 0 ? t("run.no_rules") : null;
}

export function RunDialog({ onClose, onStarted }: Props) {
  const loaded = useLoad(choices, []);
  if (!loaded.value) {
    return (
      <Dialog title={t("run.title")} onClose={onClose}>
        {loaded.failure ? <Failed problem={loaded.failure} again={loaded.again} /> : <Waiting />}
      </Dialog>
    );
  }
  const lack = lacking(loaded.value);
  if (lack) {
    return (
      <Dialog title={t("run.title")} onClose={onClose}>
        <Empty icon="info">{lack}</Empty>
      </Dialog>
    );
  }
  return <RunForm choices={loaded.value} onClose={onClose} onStarted={onStarted} />;
}

function RunForm({ choices: { areas, rules }, onClose, onStarted }: Props & { choices: Choices }) {
  const tops = useMemo(() => upperAreas(areas), [areas]);
  const [area, setArea] = useState<Id | null>(() => usualArea(areas, tops));
  const [rule, setRule] = useState<Id | null>(rules[0]?.id ?? null);
  const [left, setLeft] = useState<ReadonlySet<Id>>(new Set());
  const [title, setTitle] = useState("");
  const [seed, setSeed] = useState(1);
  const [effort, setEffort] = useState<Effort>("draft");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  const communities = useMemo(() => (area === null ? [] : communitiesUnder(areas, area)), [areas, area]);
  const chosen = communities.filter((community) => !left.has(community.id));
  const place = areas.find((candidate) => candidate.id === area);
  const usualTitle = place ? t("run.title_default", { area: named(place), date: new Date().toLocaleDateString() }) : "";

  const toggle = (id: Id) => {
    const next = new Set(left);
    if (!next.delete(id)) next.add(id);
    setLeft(next);
  };

  const start = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const answer = await post<{ plan: Plan; run: Run }>("/api/v1/plans", {
        area_id: area,
        rule_set_id: rule,
        ...(left.size > 0 ? { community_ids: chosen.map((community) => community.id) } : {}),
        title: title.trim() || usualTitle,
        seed,
        effort,
      });
      onStarted({ ...answer.plan, run: answer.plan.run ?? answer.run });
    } catch (reason) {
      setProblem(reason as Problem);
      setBusy(false);
    }
  };

  const foot = (
    <>
      <button type="button" class="button" onClick={onClose}>
        {t("act.cancel")}
      </button>
      <button type="submit" form="run-form" class="button button-main" disabled={busy || chosen.length === 0 || !rule}>
        <Icon name="play" />
        {t("run.start")}
      </button>
    </>
  );

  return (
    <Dialog title={t("run.title")} onClose={onClose} foot={foot}>
      <form id="run-form" class="form" onSubmit={start}>
        <FieldRow label={t("run.area")}>
          <select value={String(area)} onChange={(event) => setArea(Number(event.currentTarget.value))}>
            {tops.map((top) => (
              <option key={top.id} value={String(top.id)}>
                {named(top)}
              </option>
            ))}
          </select>
        </FieldRow>
        <fieldset class="communities">
          <legend>
            {t("run.communities", { n: chosen.length, all: communities.length })}
            <button type="button" class="button-link" onClick={() => setLeft(new Set())}>
              {t("run.all")}
            </button>
            <button
              type="button"
              class="button-link"
              onClick={() => setLeft(new Set(communities.map((community) => community.id)))}
            >
              {t("run.no_one")}
            </button>
          </legend>
          <div class="checks">
            {communities.map((community) => (
              <label key={community.id}>
                <input type="checkbox" checked={!left.has(community.id)} onChange={() => toggle(community.id)} />
                {named(community)}
              </label>
            ))}
          </div>
        </fieldset>
        <FieldRow label={t("run.rules")}>
          <select value={String(rule)} onChange={(event) => setRule(Number(event.currentTarget.value))}>
            {rules.map((candidate) => (
              <option key={candidate.id} value={String(candidate.id)}>
                {named(candidate)}
              </option>
            ))}
          </select>
        </FieldRow>
        <FieldRow label={t("run.plan_title")}>
          <input
            type="text"
            value={title}
            placeholder={usualTitle}
            maxLength={120}
            onInput={(event) => setTitle(event.currentTarget.value)}
          />
        </FieldRow>
        <div class="form-pair">
          <EffortField value={effort} onPick={setEffort} />
          <SeedField value={seed} onPick={setSeed} />
        </div>
        <Refused problem={problem} />
      </form>
    </Dialog>
  );
}
