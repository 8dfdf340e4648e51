/** The planner's page: a plan, its figures and its faults; order a partition; put a plan in force. */

import "../style/planner.css";
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { all, get, path, post } from "../api/client";
import type { Cell, Id, Paged, Plan, Run, Session, Statistics, Tier, Violation } from "../api/types";
import { day, named, t, useLanguage, word } from "../i18n";
import { type CellKind, type Colouring, chooseCell, labelCells, showCells } from "../map/cells";
import { MapView } from "../map/map_view";
import { goToBox, type TownMap } from "../map/town_map";
import { CellCard } from "../panels/cell_card";
import { CellTable } from "../panels/cell_table";
import { Dialog } from "../panels/dialog";
import { DraftDialog } from "../panels/draft_dialog";
import { ExportButton } from "../panels/export_dialog";
import { Segments } from "../panels/field_row";
import { FoundCard } from "../panels/found_card";
import { Icon } from "../panels/icons";
import { BandLegend } from "../panels/legend";
import { done, failed } from "../panels/notice";
import { PublishDialog } from "../panels/publish_dialog";
import { RunDialog } from "../panels/run_dialog";
import { RunProgress } from "../panels/run_progress";
import { Shell } from "../panels/shell";
import { Shown } from "../panels/shown";
import { Empty, Failed, Waiting } from "../panels/states";
import { StatisticsPanel } from "../panels/statistics";
import { Violations } from "../panels/violations";
import { address, addressed, addressedNumber } from "../state/address";
import { useFound } from "../state/found_on_map";
import { useLoad } from "../state/load";
import { useCommunities } from "../state/places";
import { choose } from "../state/search";
import { may } from "../state/session";
import { mount } from "./mount";

type Tab = "statistics" | "violations" | "cells";
type Asked = "run" | "publish" | "discard" | "edit" | null;

const ORDER = ["draft", "submitted", "reviewed", "approved", "in_force", "future", "superseded", "discarded"];
const PENDING = new Set(ORDER.slice(0, 4));
const TABS: readonly Tab[] = ["statistics", "violations", "cells"];

const gridTiers = (plan: Plan | null): Tier[] => (plan?.rule_set.tiers ?? []).filter((tier) => tier.kind !== "area");

const kindOf = (tier: Tier | undefined): CellKind => (tier?.kind === "micro_grid" ? "micro_grids" : "grids");

const running = (plan: Plan | null) => plan?.run?.state === "queued" || plan?.run?.state === "running";

/** The plan to open at first: what governs now, else the newest. */
const firstOf = (plans: readonly Plan[]) => plans.find((plan) => plan.state === "in_force") ?? plans[0] ?? null;

function PlanPicker({ plans, plan, onPick }: { plans: Plan[]; plan: Plan; onPick: (id: Id) => void }) {
  const groups = ORDER.filter((state) => plans.some((candidate) => candidate.state === state));
  return (
    <label class="plan-picker">
      <span class="over">{t("plan.one")}</span>
      <select value={String(plan.id)} onChange={(event) => onPick(Number(event.currentTarget.value))}>
        {groups.map((state) => (
          <optgroup key={state} label={word("plan_state", state)}>
            {plans
              .filter((candidate) => candidate.state === state)
              .map((candidate) => (
                <option key={candidate.id} value={String(candidate.id)}>
                  {candidate.title || `#${candidate.id}`}
                </option>
              ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
}

function PlanHead({ plan }: { plan: Plan }) {
  return (
    <div class="plan-head">
      <span class={`chip chip-plan-${plan.state}`}>{word("plan_state", plan.state)}</span>
      <span>{named(plan.area)}</span>
      <span>{t("plan.communities", { n: plan.communities.length })}</span>
      {plan.effective_from && <span>{t("plan.from", { date: day(plan.effective_from) })}</span>}
      {plan.document_no && <span>{plan.document_no}</span>}
      <p class="rules">{named(plan.rule_set)}</p>
    </div>
  );
}

function DiscardDialog({ plan, onClose, onDone }: { plan: Plan; onClose: () => void; onDone: () => void }) {
  const discard = () => post(`/api/v1/plans/${plan.id}/discard`).then(onDone, failed);
  const foot = (
    <>
      <button type="button" class="button" onClick={onClose}>
        {t("act.cancel")}
      </button>
      <button type="button" class="button button-danger" onClick={discard}>
        <Icon name="trash" />
        {t("plan.discard")}
      </button>
    </>
  );
  return (
    <Dialog title={t("plan.discard")} onClose={onClose} foot={foot}>
      <p>{t("plan.discard_ask", { plan: plan.title })}</p>
    </Dialog>
  );
}

interface ActsProps {
  plan: Plan | null;
  allowed: boolean;
  session: Session;
  onAsk: (what: Asked) => void;
  children: ComponentChildren;
}

/** Who publishes an approved plan, or may take every step before that as well. */
const mayPublish = (plan: Plan, { permissions }: Session): boolean =>
  permissions.includes("publish_plan") &&
  (plan.state === "approved" || (PENDING.has(plan.state) && permissions.includes("submit_plan")));

function Acts({ plan, allowed, session, onAsk, children }: ActsProps) {
  const ready = plan?.run === null || plan?.run.state === "done";
  return (
    <div class="acts">
      {allowed && (
        <button type="button" class="button button-main" onClick={() => onAsk("run")}>
          <Icon name="play" />
          {t("run.new")}
        </button>
      )}
      {plan && mayPublish(plan, session) && (
        <button type="button" class="button" disabled={!ready} onClick={() => onAsk("publish")}>
          <Icon name="publish" />
          {t("plan.publish")}
        </button>
      )}
      {allowed && plan?.state === "draft" && (
        <button type="button" class="button" disabled={running(plan)} onClick={() => onAsk("discard")}>
          <Icon name="trash" />
          {t("plan.discard")}
        </button>
      )}
      {plan && ready && (
        <a class="button" href={`/desk?plan=${plan.id}`}>
          <Icon name={allowed && plan.state === "draft" ? "pen" : "map"} />
          {allowed && plan.state === "draft" ? t("desk.edit") : t("desk.look")}
        </a>
      )}
      {plan && allowed && plan.state !== "draft" && (
        <button type="button" class="button" onClick={() => onAsk("edit")}>
          <Icon name="pen" />
          {t("desk.edit")}
        </button>
      )}
      {plan && !running(plan) && (
        <a class="button" href={path(`/api/v1/plans/${plan.id}/report.html`)} target="_blank" rel="noopener">
          <Icon name="report" />
          {t("plan.report")}
        </a>
      )}
      {children}
    </div>
  );
}

function Desk({ session }: { session: Session }) {
  const language = useLanguage();
  const communities = useCommunities();
  const [planId, setPlanId] = useState<Id | null>(addressedNumber("plan"));
  const [depth, setDepth] = useState(addressedNumber("depth") ?? 1);
  const [colouring, setColouring] = useState<Colouring>((addressed("colour") as Colouring) ?? "cell");
  const [tab, setTab] = useState<Tab>((addressed("tab") as Tab) ?? "statistics");
  const [chosen, setChosen] = useState<Id | null>(addressedNumber("cell"));
  const [asked, setAsked] = useState<Asked>(null);
  const [map, setMap] = useState<TownMap | null>(null);

  const plans = useLoad((signal) => get<Paged<Plan>>("/api/v1/plans", { limit: 200 }, signal), [language]);
  const plan = useMemo(() => {
    const items = plans.value?.items ?? [];
    return items.find((candidate) => candidate.id === planId) ?? firstOf(items);
  }, [plans.value, planId]);
  const tiers = gridTiers(plan);
  const tier = tiers.find((candidate) => candidate.depth === depth) ?? tiers[0];
  const still = plan !== null && !running(plan) && plan.run?.state !== "failed" && plan.run?.state !== "cancelled";
  const id = still ? plan.id : null;

  const statistics = useLoad<Statistics>(
    (signal) => (id === null ? null : get(`/api/v1/plans/${id}/statistics`, {}, signal)),
    [id, language],
  );
  const violations = useLoad<{ items: Violation[] }>(
    (signal) => (id === null ? null : get(`/api/v1/plans/${id}/violations`, {}, signal)),
    [id, language],
  );
  const cells = useLoad<{ rows: Cell[] }>(
    () =>
      id === null || !tier ? null : all<Cell>(`/api/v1/plans/${id}/cells`, { depth: tier.depth, geometry: false }),
    [id, tier?.depth],
  );
  const cell = cells.value?.rows.find((candidate) => candidate.id === chosen) ?? null;

  const place = useFound(map);
  const isCell = place?.kind === "grid" || place?.kind === "micro_grid";
  // A cell of the plan on show is opened like one that was pressed; anything else has a card of its own.
  useEffect(() => {
    if (!place) return;
    if (isCell && plan?.state === "in_force" && place.depth) {
      setDepth(place.depth);
      setChosen(place.id);
    } else setChosen(null);
  }, [place, isCell, plan?.state]);

  useEffect(() => {
    if (!plan) return;
    address({ plan: plan.id, depth: tier?.depth ?? null, colour: colouring, tab, cell: chosen });
  }, [plan, tier, colouring, tab, chosen]);

  useEffect(() => {
    if (!map || !tier) return;
    // While a plan has no cells yet, the borders in force are the background to wait before.
    if (id === null) showCells(map, { plan: null, kind: "grids", depth: null, colouring: "none" });
    else showCells(map, { plan: id, kind: kindOf(tier), depth: tier.depth, colouring, revision: plan?.state });
  }, [map, id, tier, colouring, plan]);
  useEffect(() => {
    if (map?.getSource("cell-labels")) labelCells(map, cells.value?.rows ?? [], t("unit.households"));
  }, [map, cells.value, id, language, communities]);

  useEffect(() => {
    if (map) chooseCell(map, chosen);
  }, [map, chosen, id, tier]);

  // A click finds the cell of the tier that is filled; on bare ground it lets the chosen one go.
  useEffect(() => {
    if (!map || !tier) return;
    const layer = `${kindOf(tier)}-fill`;
    const pick = (event: { point: { x: number; y: number } }) => {
      if (!map.getLayer(layer)) return;
      const found = map.queryRenderedFeatures([event.point.x, event.point.y], { layers: [layer] })[0];
      setChosen(found ? Number(found.id ?? found.properties.id) : null);
    };
    map.on("click", pick);
    return () => {
      map.off("click", pick);
    };
  }, [map, tier]);

  const open = (next: Id) => {
    setPlanId(next);
    setChosen(null);
    const bbox = plans.value?.items.find((candidate) => candidate.id === next)?.bbox;
    if (map && bbox) goToBox(map, bbox);
  };

  const go = (violation: Violation) => {
    if (violation.depth && tiers.some((candidate) => candidate.depth === violation.depth)) setDepth(violation.depth);
    if (violation.cell_id) setChosen(violation.cell_id);
    if (map && violation.bbox) goToBox(map, violation.bbox);
  };

  const pickRow = (row: Cell) => {
    setChosen(row.id);
    if (map && row.bbox) goToBox(map, row.bbox);
  };

  const refresh = plans.again;
  const onRun = useCallback(
    (run: Run) => {
      if (run.state === "done") done(t("run.done"));
      refresh();
    },
    [refresh],
  );
  const planner = may(session, "planner");

  return (
    <div class="planner">
      <h1 class="read-only">{word("page", "planner")}</h1>
      <section class="side" aria-label={t("plan.one")}>
        <div class="side-head">
          {plan && plans.value && <PlanPicker plans={plans.value.items} plan={plan} onPick={open} />}
          {plan && <PlanHead plan={plan} />}
          <Acts plan={plan} allowed={planner} session={session} onAsk={setAsked}>
            <ExportButton session={session} first={plan?.state === "draft" ? "draft_grids" : "grids"} />
          </Acts>
          {plan?.run && plan.run.state !== "done" && (
            <RunProgress key={plan.id} plan={plan} first={plan.run} mayCancel={planner} onEnd={onRun} />
          )}
        </div>
        {!plans.value ? (
          plans.failure ? (
            <Failed problem={plans.failure} again={plans.again} />
          ) : (
            <Waiting />
          )
        ) : !plan ? (
          <Empty icon="grid">
            {planner ? t("plan.none") : t("plan.none_yet")}
            {planner && (
              <>
                <br />
                <a href="/desk">{t("take.import")}</a>
              </>
            )}
          </Empty>
        ) : (
          still && (
            <>
              <div class="tab-row" role="tablist" aria-label={t("plan.views")}>
                {TABS.map((name) => (
                  <button
                    key={name}
                    type="button"
                    role="tab"
                    id={`tab-${name}`}
                    aria-selected={tab === name}
                    aria-controls="tab-panel"
                    onClick={() => setTab(name)}
                  >
                    {word("plan_tab", name)}
                    {name === "violations" && violations.value && (
                      <span class="count">{violations.value.items.length}</span>
                    )}
                  </button>
                ))}
              </div>
              {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled by keyboard too */}
              <div class="side-body" id="tab-panel" role="tabpanel" tabIndex={0} aria-labelledby={`tab-${tab}`}>
                <h2 class="read-only">{word("plan_tab", tab)}</h2>
                {tab === "statistics" && (
                  <Shown loading={statistics}>{(value) => <StatisticsPanel statistics={value} tiers={tiers} />}</Shown>
                )}
                {tab === "violations" && (
                  <Shown loading={violations}>{(value) => <Violations violations={value.items} onGo={go} />}</Shown>
                )}
                {tab === "cells" && (
                  <Shown loading={cells}>
                    {(value) => <CellTable cells={value.rows} chosen={chosen} onPick={pickRow} />}
                  </Shown>
                )}
              </div>
            </>
          )
        )}
      </section>
      <div class="map-place">
        <MapView extent={session.extent} onReady={setMap} label={t("map.title")} />
        {tiers.length > 0 && (
          <div class="map-tools">
            <Segments
              label={t("plan.tier")}
              value={String(tier?.depth)}
              onPick={(value) => {
                setDepth(Number(value));
                setChosen(null);
              }}
              choices={tiers.map((one) => ({ value: String(one.depth), label: named(one) }))}
            />
            <Segments
              label={t("plan.colour")}
              value={colouring}
              onPick={setColouring}
              choices={[
                { value: "cell", label: t("plan.colour_cell") },
                { value: "band", label: t("plan.colour_band") },
                { value: "none", label: t("plan.colour_none") },
              ]}
            />
          </div>
        )}
        {colouring === "band" && tier && <BandLegend tier={tier} />}
        {!cell && place && <FoundCard found={place} onClose={() => choose(null)} />}
        {cell && (
          <CellCard cell={cell} tier={tier} governs={plan?.state === "in_force"} onClose={() => setChosen(null)} />
        )}
      </div>
      {asked === "run" && (
        <RunDialog
          onClose={() => setAsked(null)}
          onStarted={(made) => {
            setAsked(null);
            setPlanId(made.id);
            setChosen(null);
            plans.again();
          }}
        />
      )}
      {asked === "publish" && plan && (
        <PublishDialog
          plan={plan}
          onClose={() => setAsked(null)}
          onPublished={() => {
            setAsked(null);
            done(t("publish.done"));
            plans.again();
          }}
        />
      )}
      {asked === "edit" && plan && <DraftDialog plan={plan} onClose={() => setAsked(null)} />}
      {asked === "discard" && plan && (
        <DiscardDialog
          plan={plan}
          onClose={() => setAsked(null)}
          onDone={() => {
            setAsked(null);
            done(t("plan.discarded"));
            plans.again();
          }}
        />
      )}
    </div>
  );
}

mount(() => <Shell page="planner">{(session) => <Desk session={session} />}</Shell>);
