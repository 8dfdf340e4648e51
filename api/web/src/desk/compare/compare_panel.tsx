/** This plan beside any other: what moves on the map, figures, whom it concerns, scores, what becomes of each cell. */

import "../../style/propose.css";
import { useEffect, useState } from "preact/hooks";
import { all, get } from "../../api/client";
import type { Id, Plan } from "../../api/types";
import { named, number, t, useLanguage, word } from "../../i18n";
import { FieldRow } from "../../panels/field_row";
import { Icon } from "../../panels/icons";
import { Shown } from "../../panels/shown";
import { Empty, Failed, Waiting } from "../../panels/states";
import { useLoad } from "../../state/load";
import { useValue } from "../../state/value";
import { ScoreTable } from "../propose/score_table";
import type { DeskState } from "../state";
import { Concerned } from "./concerned";
import { LineageView } from "./lineage_view";
import { useComparedMap } from "./overlay";
import type { BothScores, ComparedMap, ComparedPlan, Comparison, LineageEdge } from "./types";

const REST_MS = 800;
const HIDDEN = new Set(["discarded"]);

/** A number that follows another once that has come to rest. */
function useRested(value: number): number {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), REST_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return rested;
}

function Moved({ found }: { found: Comparison }) {
  const lines: [string, (tier: Comparison["tiers"][number]) => number | null][] = [
    [t("compare.households_moved"), (tier) => tier.households_moved],
    [t("compare.buildings_moved"), (tier) => tier.buildings_moved],
    [t("compare.residents_moved"), (tier) => tier.residents_moved],
    [t("compare.compounds_touched"), (tier) => tier.compounds_touched],
    [t("compare.cells_unchanged"), (tier) => tier.cells_unchanged],
    [t("compare.cells_redrawn"), (tier) => tier.cells_redrawn],
    [t("compare.cells_new"), (tier) => tier.cells_new],
    [t("compare.cells_ended"), (tier) => tier.cells_ended],
  ];
  return (
    <table
      class="scores"
      aria-label={t("compare.moved")}
      data-moved={found.tiers.find(({ depth }) => depth === found.depth)?.households_moved}
    >
      <thead>
        <tr>
          <th scope="col">
            <span class="read-only">{t("propose.measure")}</span>
          </th>
          {found.tiers.map((tier) => (
            <th key={tier.depth} scope="col" class="numeric">
              {named(tier)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {lines.map(([name, of]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            {found.tiers.map((tier) => (
              <td key={tier.depth} class="numeric">
                {number(of(tier))}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Whether no cell of any tier is another one, or has other ground. */
const isSame = ({ tiers }: Comparison) =>
  tiers.length > 0 && tiers.every((tier) => tier.cells_redrawn + tier.cells_new + tier.cells_ended === 0);

function Key() {
  return (
    <p class="compare-key">
      <span>
        <i class="key-old" aria-hidden="true" />
        {t("compare.key_old")}
      </span>
      <span>
        <i aria-hidden="true" />
        {t("compare.key_new")}
      </span>
      <span>
        <i class="key-building" aria-hidden="true" />
        {t("compare.key_building")}
      </span>
    </p>
  );
}

/** Go to a cell by the outline that either plan has on the map, else by the desk's own. */
function goTo(desk: DeskState, map: ComparedMap | null, edge: LineageEdge): void {
  const cell = desk.board.cells.get(edge.new_id ?? -1) ?? desk.board.cells.get(edge.old_id ?? -1);
  if (cell) {
    desk.goTo(cell.bbox);
    return;
  }
  const code = edge.new ?? edge.old;
  const features = [...(map?.after.features ?? []), ...(map?.before.features ?? [])];
  const found = features.find(({ properties }) => properties.code === code);
  if (!found || !("coordinates" in found.geometry)) return;
  const flat = (found.geometry.coordinates as unknown[]).flat(Number.POSITIVE_INFINITY) as number[];
  const lons = flat.filter((_, index) => index % 2 === 0);
  const lats = flat.filter((_, index) => index % 2 === 1);
  desk.goTo([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)]);
}

/** Measured by a question of its own, because it takes longer than the rest. */
function BothScored({ before, after, seq }: { before: ComparedPlan; after: ComparedPlan; seq: number }) {
  const loaded = useLoad<BothScores>(
    (signal) => get(`/api/v1/plans/${after.id}/compare/scores`, { with: before.id }, signal),
    [before.id, after.id, seq],
  );
  return (
    <Shown loading={loaded}>
      {(both) => (
        <ScoreTable
          label={t("compare.scores")}
          columns={[
            { head: t("compare.before"), title: before.title, scores: both.before },
            { head: t("compare.after"), title: after.title, scores: both.after },
          ]}
        />
      )}
    </Shown>
  );
}

interface DetailsProps {
  desk: DeskState;
  found: Comparison;
  map: ComparedMap | null;
  seq: number;
}

function Details({ desk, found, map, seq }: DetailsProps) {
  const depth = useValue(desk.depth);
  const { before, after } = found;
  const table = (form: string) => `/api/v1/plans/${after.id}/compare/moves.${form}?with=${before.id}`;
  const title = (plan: Comparison["before"]) => `${plan.title} (${word("plan_state", plan.state)})`;
  return (
    <>
      <p class="compare-arrow">
        <strong>{title(before)}</strong> → <strong>{title(after)}</strong>
      </p>
      {isSame(found) ? (
        <p class="compare-same" role="status">
          <Icon name="check" size={18} />
          {t("compare.same")}
        </p>
      ) : (
        <Key />
      )}
      <Moved found={found} />
      <div class="acts">
        {(["csv", "xlsx"] as const).map((form) => (
          <a key={form} class="button" href={table(form)} download>
            <Icon name="download" size={18} />
            {t("compare.table", { form: form === "csv" ? "CSV" : "Excel" })}
          </a>
        ))}
      </div>
      <Concerned desk={desk} found={found} depth={depth} />
      <h3>{t("compare.scores")}</h3>
      <BothScored before={before} after={after} seq={seq} />
      <h3>{t("compare.lineage")}</h3>
      <LineageView
        key={depth}
        desk={desk}
        edges={found.lineage.filter((edge) => edge.depth === depth)}
        onGo={(edge) => goTo(desk, map, edge)}
      />
    </>
  );
}

function Compared({ desk, other, swapped }: { desk: DeskState; other: Id; swapped: boolean }) {
  const seq = useRested(useValue(desk.seq));
  const depth = useValue(desk.depth);
  const language = useLanguage();
  const [before, after] = swapped ? [desk.plan.id, other] : [other, desk.plan.id];
  const loaded = useLoad<Comparison>(
    (signal) => get(`/api/v1/plans/${after}/compare`, { with: before }, signal),
    [before, after, seq, language],
  );
  const map = useComparedMap(desk, { before, after, depth, seq });
  return (
    <div data-compared={loaded.busy ? "busy" : seq} class="compare">
      <Shown loading={loaded}>{(found) => <Details desk={desk} found={found} map={map} seq={seq} />}</Shown>
    </div>
  );
}

/** The plans that have a community in common with this one. */
function comparable(plan: Plan, plans: Plan[]): Plan[] {
  const own = new Set(plan.communities.map(({ id }) => id));
  return plans.filter(
    ({ id, state, communities }) =>
      id !== plan.id && !HIDDEN.has(state) && communities.some((community) => own.has(community.id)),
  );
}

/** What a planner would compare with first: where the plan came from, else what is in force there. */
const usual = (plan: Plan, others: Plan[]) =>
  others.find(({ id }) => id === plan.based_on_id) ?? others.find(({ state }) => state === "in_force") ?? others[0];

export function ComparePanel({ desk }: { desk: DeskState }) {
  useLanguage();
  const plans = useLoad(() => all<Plan>("/api/v1/plans"), [desk.plan.id]);
  const [picked, setPicked] = useState<Id | null>(null);
  const [swapped, setSwapped] = useState(false);
  if (plans.failure) return <Failed problem={plans.failure} again={plans.again} />;
  if (!plans.value) return <Waiting />;
  const others = comparable(desk.plan, plans.value.rows);
  if (others.length === 0) return <Empty icon="list">{t("compare.none")}</Empty>;
  const other = others.find(({ id }) => id === picked) ?? usual(desk.plan, others);
  return (
    <div class="compare">
      <div class="compare-pick">
        <FieldRow label={swapped ? t("compare.with_after") : t("compare.with_before")}>
          <select value={String(other.id)} onChange={(event) => setPicked(Number(event.currentTarget.value))}>
            {others.map((plan) => (
              <option key={plan.id} value={String(plan.id)}>
                {plan.title || `#${plan.id}`} · {word("plan_state", plan.state)}
              </option>
            ))}
          </select>
        </FieldRow>
        <button type="button" class="button" aria-pressed={swapped} onClick={() => setSwapped(!swapped)}>
          <Icon name="refresh" size={18} />
          {t("compare.swap")}
        </button>
      </div>
      <Compared key={`${other.id}${swapped}`} desk={desk} other={other.id} swapped={swapped} />
    </div>
  );
}
