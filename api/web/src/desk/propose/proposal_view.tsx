/** One proposal: what it changes, group by group and grid by grid, on the map and to accept. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { get } from "../../api/client";
import type { Box, Id } from "../../api/types";
import { number, t } from "../../i18n";
import { Icon } from "../../panels/icons";
import { done, failed } from "../../panels/notice";
import { Shown } from "../../panels/shown";
import { Empty } from "../../panels/states";
import { useLoad } from "../../state/load";
import { nameOfCode } from "../compare/names";
import { nameOf } from "../names";
import type { DeskState, OverlayStyle } from "../state";
import type { Change } from "../types";
import type { Proposal, ProposalLine } from "./types";

const OVERLAY = "proposal";
const LOOK: OverlayStyle = {
  fill: ["case", ["get", "stale"], "#8c8577", ["get", "picked"], "#7a3f94", "#b79ac4"],
  opacity: ["case", ["get", "picked"], 0.22, 0.08],
  line: ["case", ["get", "stale"], "#6b665c", "#5c2478"],
  width: ["case", ["get", "picked"], 3.5, 1.6],
  dash: [2, 1.2],
  label: "says",
};

type Feature = Proposal["cells"]["features"][number];

const unite = (boxes: Box[]): Box => [
  Math.min(...boxes.map(([west]) => west)),
  Math.min(...boxes.map(([, south]) => south)),
  Math.max(...boxes.map(([, , east]) => east)),
  Math.max(...boxes.map(([, , , north]) => north)),
];

/** The grids of a proposal: cells of the tier in which groups are told. */
const gridsOf = (proposal: Proposal): Feature[] =>
  proposal.cells.features.filter(({ properties }) => properties.touches.length > 0);

function useOverlay(desk: DeskState, grids: Feature[], picked: ReadonlySet<Id>): void {
  useEffect(() => {
    const features = grids.map((feature) => ({
      ...feature,
      properties: {
        ...feature.properties,
        picked: picked.has(feature.properties.id),
        says: `${nameOfCode(desk, feature.properties.code)} · ${number(feature.properties.households)}`,
      },
    }));
    desk.overlay(OVERLAY, { type: "FeatureCollection", features }, LOOK);
  }, [desk, grids, picked]);
  useEffect(() => () => desk.overlay(OVERLAY, null), [desk]);
}

function GridLine(props: { desk: DeskState; feature: Feature; picked: boolean; onToggle: () => void }) {
  const { desk, feature, picked, onToggle } = props;
  const cell = feature.properties;
  const name =
    cell.continues === null
      ? t("propose.new_grid", { code: nameOfCode(desk, cell.code) })
      : nameOf(desk.board, cell.continues);
  return (
    <li class="propose-grid" data-proposed={cell.id}>
      <label>
        <input type="checkbox" checked={picked} disabled={cell.stale || !desk.mayEdit} onChange={onToggle} />
        <span>{name}</span>
        <span class={`sign sign-${cell.band_state}`}>{t("propose.households", { n: number(cell.households) })}</span>
        {cell.households_in > 0 && <span class="mark">+{number(cell.households_in)}</span>}
        {cell.stale && <span class="mark mark-bad">{t("propose.stale")}</span>}
      </label>
      <button
        type="button"
        class="button-bare"
        aria-label={`${t("act.go_to")} ${name}`}
        title={t("act.go_to")}
        onClick={() => desk.goTo(feature.bbox)}
      >
        <Icon name="target" size={18} />
      </button>
    </li>
  );
}

interface GroupProps {
  desk: DeskState;
  number: number;
  grids: Feature[];
  picked: ReadonlySet<Id>;
  onPick: (ids: Id[], on: boolean) => void;
}

function Group({ desk, number: which, grids, picked, onPick }: GroupProps) {
  const free = grids.filter(({ properties }) => !properties.stale).map(({ properties }) => properties.id);
  const all = free.length > 0 && free.every((id) => picked.has(id));
  const moved = grids.reduce((sum, { properties }) => sum + properties.households_in, 0);
  return (
    <section class="propose-group" aria-label={t("propose.group", { n: which })}>
      <header>
        <label>
          <input
            type="checkbox"
            checked={all}
            disabled={free.length === 0 || !desk.mayEdit}
            onChange={() => onPick(free, !all)}
          />
          <strong>{t("propose.group", { n: which })}</strong>
          <span>{t("propose.group_sum", { cells: grids.length, n: number(moved) })}</span>
        </label>
        <button type="button" class="button-quiet" onClick={() => desk.goTo(unite(grids.map(({ bbox }) => bbox)))}>
          <Icon name="target" size={18} />
          {t("act.go_to")}
        </button>
      </header>
      <ul>
        {grids.map((feature) => (
          <GridLine
            key={feature.properties.id}
            desk={desk}
            feature={feature}
            picked={picked.has(feature.properties.id)}
            onToggle={() => onPick([feature.properties.id], !picked.has(feature.properties.id))}
          />
        ))}
      </ul>
    </section>
  );
}

/** How many of the accepted were left out, because somebody changed them meanwhile. */
function refusedOf(change: Change): number {
  const refused: unknown = change.summary.params.refused;
  return Array.isArray(refused) ? refused.length : 0;
}

function Groups({ desk, proposal, onAccepted }: { desk: DeskState; proposal: Proposal; onAccepted: () => void }) {
  const grids = useMemo(() => gridsOf(proposal), [proposal]);
  const free = grids.filter(({ properties }) => !properties.stale).map(({ properties }) => properties.id);
  const [picked, setPicked] = useState<ReadonlySet<Id>>(() => new Set(free));
  const [busy, setBusy] = useState(false);
  useEffect(() => setPicked(new Set(free)), [proposal]);
  useOverlay(desk, grids, picked);
  useEffect(() => {
    if (grids.length > 0) desk.goTo(unite(grids.map(({ bbox }) => bbox)));
  }, [proposal.id]);

  const pick = (ids: Id[], on: boolean) => {
    const next = new Set(picked);
    for (const id of ids) on ? next.add(id) : next.delete(id);
    setPicked(next);
  };
  const accept = async () => {
    setBusy(true);
    try {
      const whole = picked.size === free.length && free.length === grids.length;
      const change = await desk.apply({
        kind: "accept",
        proposal: proposal.id,
        ...(whole ? {} : { cells: [...picked] }),
      });
      const left = refusedOf(change);
      done(left > 0 ? t("propose.accepted_but", { n: left }) : t("propose.accepted"));
      onAccepted();
    } catch (problem) {
      failed(problem as Error);
    }
    setBusy(false);
  };

  const groups = new Map<number, Feature[]>();
  for (const feature of grids) {
    groups.set(feature.properties.group, [...(groups.get(feature.properties.group) ?? []), feature]);
  }
  if (grids.length === 0) return <Empty icon="check">{t("propose.changes_nothing")}</Empty>;
  return (
    <>
      <div class="propose-accept">
        <button
          type="button"
          class="button button-main"
          disabled={busy || picked.size === 0 || !desk.mayEdit}
          onClick={accept}
        >
          <Icon name="check" />
          {picked.size === grids.length
            ? t("propose.accept_all", { n: grids.length })
            : t("propose.accept_some", { n: picked.size })}
        </button>
        <p class="propose-hint">{t("propose.groups_hint")}</p>
      </div>
      {[...groups].map(([which, own]) => (
        <Group key={which} desk={desk} number={which} grids={own} picked={picked} onPick={pick} />
      ))}
    </>
  );
}

interface Props {
  desk: DeskState;
  line: ProposalLine;
  /** Rises when what the server says of the proposal may be another. */
  turn: number;
  onAccepted: () => void;
}

export function ProposalView({ desk, line, turn, onAccepted }: Props) {
  const loaded = useLoad<Proposal>(
    (signal) => get(`/api/v1/plans/${desk.plan.id}/proposals/${line.id}`, {}, signal),
    [desk.plan.id, line.id, turn],
  );
  return (
    <Shown loading={loaded}>
      {(proposal) => <Groups key={proposal.id} desk={desk} proposal={proposal} onAccepted={onAccepted} />}
    </Shown>
  );
}
