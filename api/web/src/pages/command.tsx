/** The command centre's page: incidents as they come, on the map and in the list, and what may be done with each. */

import "../style/incident.css";
import "../style/command.css";
import { useEffect, useMemo, useState } from "preact/hooks";
import { get } from "../api/client";
import { Live, type LiveState } from "../api/live";
import type { Category, Id, IncidentFeature, Paged, Place, Session } from "../api/types";
import { clock, named, number, t, useLanguage, word } from "../i18n";
import { type CellView, chooseCell, showCells } from "../map/cells";
import { STATUSES } from "../map/colours";
import { addIncidents, chooseIncident, onIncident, showIncidents } from "../map/incident_layer";
import { MapView } from "../map/map_view";
import { addPlaceNames, showPlaceNames } from "../map/place_names";
import { goToPlace, type TownMap } from "../map/town_map";
import { ExportButton } from "../panels/export_dialog";
import { Segments } from "../panels/field_row";
import { FoundCard } from "../panels/found_card";
import { Icon, type IconName } from "../panels/icons";
import { IncidentCard } from "../panels/incident_card";
import { IncidentList } from "../panels/incident_list";
import { Shell } from "../panels/shell";
import { Failed, Waiting } from "../panels/states";
import { StatusMark } from "../panels/status_mark";
import { address, addressed, addressedNumber } from "../state/address";
import { useFound } from "../state/found_on_map";
import { isOpen, matching, SPANS, type Span, Watch } from "../state/incidents";
import { useLoad } from "../state/load";
import { useCommunities } from "../state/places";
import { choose } from "../state/search";
import { useValue, Value } from "../state/value";
import { mount } from "./mount";

const watch = new Watch();
watch.span = SPANS.find((span) => span === addressed("span")) ?? "7d";

const live = new Value<Live | null>(null);
const NEVER = new Value<Date | null>(null);
const CONNECTING = new Value<LiveState>("connecting");

const IN_FORCE: CellView = { plan: null, kind: "grids", depth: 1, colouring: "none" };

const SIGNS: Record<LiveState, IconName> = { connecting: "refresh", live: "wifi", polling: "clock", lost: "warn" };

/** Whether the picture is live, and the moment it is of. */
function AsOf() {
  const stream = useValue(live);
  const state = useValue(stream?.state ?? CONNECTING);
  const asOf = useValue(stream?.asOf ?? NEVER);
  const [now, setNow] = useState(new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span class={`as-of as-of-${state}`} data-live={state}>
      <Icon name={SIGNS[state]} size={18} />
      <span role="status">{word("live", state)}</span>
      <time class="clock">{clock(state === "live" || !asOf ? now : asOf)}</time>
    </span>
  );
}

function Counters({
  features,
  picked,
  onPick,
}: {
  features: IncidentFeature[];
  picked: ReadonlySet<string>;
  onPick: (status: string) => void;
}) {
  const counts = new Map<string, number>();
  for (const { properties } of features) counts.set(properties.status, (counts.get(properties.status) ?? 0) + 1);
  return (
    <fieldset class="counters" aria-label={t("incidents.by_status")}>
      {STATUSES.map((status) => (
        <button
          key={status}
          type="button"
          class="counter"
          aria-pressed={picked.has(status)}
          data-count={status}
          onClick={() => onPick(status)}
        >
          <strong>{number(counts.get(status) ?? 0)}</strong>
          <StatusMark status={status} />
        </button>
      ))}
    </fieldset>
  );
}

function statusesOf(text: string | null): Set<string> {
  return new Set((text ?? "").split(",").filter((status) => STATUSES.includes(status)));
}

function Desk({ session }: { session: Session }) {
  const language = useLanguage();
  const [map, setMap] = useState<TownMap | null>(null);
  const [statuses, setStatuses] = useState<ReadonlySet<string>>(statusesOf(addressed("status")));
  const [category, setCategory] = useState(addressed("category") ?? "");
  const [words, setWords] = useState("");
  const [span, setSpan] = useState<Span>(watch.span);
  const [chosen, setChosen] = useState<Id | null>(addressedNumber("incident"));
  const [publications, setPublications] = useState(0);
  const list = useValue(watch.list);
  const total = useValue(watch.total);
  const arrived = useValue(watch.arrived);

  // The stream goes on from what the first list has; without a list it says so by itself.
  const begin = (last: number | null) => {
    if (live.value) return;
    const hearer = {
      incident: (feature: IncidentFeature) => watch.take(feature),
      plan: () => setPublications((n) => n + 1),
      reload: () => watch.load(),
    };
    live.set(new Live(hearer, last));
  };

  const first = useLoad(() => {
    watch.span = span;
    return watch.load().then(
      (last) => {
        live.value?.fresh(last);
        begin(last);
      },
      (reason) => {
        begin(null);
        throw reason;
      },
    );
  }, [span, language]);
  const categories = useLoad(
    (signal) =>
      get<Paged<Category> | Category[]>("/api/v1/categories", {}, signal).then((answer) =>
        Array.isArray(answer) ? answer : answer.items,
      ),
    [language],
  );
  const communities = useCommunities();
  const place = useFound(map);

  useEffect(() => {
    if (place) setChosen(null);
  }, [place]);

  useEffect(() => () => live.value?.close(), []);

  const found = useMemo(() => matching(list ?? [], { category, words }), [list, category, words]);
  const shown = useMemo(
    () => found.filter((feature) => (statuses.size ? statuses.has(feature.properties.status) : isOpen(feature))),
    [found, statuses],
  );
  const feature = list?.find((candidate) => candidate.properties.id === chosen) ?? null;

  useEffect(() => {
    address({ incident: chosen, status: [...statuses].join(","), category, span: span === "7d" ? null : span });
  }, [chosen, statuses, category, span]);

  useEffect(() => {
    if (map) showCells(map, { ...IN_FORCE, revision: publications ? String(publications) : undefined });
  }, [map, publications]);

  useEffect(() => {
    if (!map) return;
    addPlaceNames(map);
    addIncidents(map);
    onIncident(map, setChosen);
  }, [map]);

  useEffect(() => {
    if (map) showPlaceNames(map, [...communities.values()]);
  }, [map, communities, language]);

  useEffect(() => {
    if (map) showIncidents(map, shown);
  }, [map, shown]);

  useEffect(() => {
    if (!map) return;
    chooseIncident(map, feature);
    chooseCell(map, feature?.properties.grid_id ?? place?.micro_grid?.id ?? place?.grid?.id ?? null);
  }, [map, feature, place]);

  const pick = (id: Id) => {
    setChosen(id);
    const picked = list?.find((candidate) => candidate.properties.id === id);
    if (map && picked) goToPlace(map, picked.geometry.coordinates as Place);
  };

  const toggle = (status: string) => {
    const next = new Set(statuses);
    if (!next.delete(status)) next.add(status);
    setStatuses(next);
  };

  return (
    <div class="command">
      <h1 class="read-only">{word("page", "command")}</h1>
      <Counters features={found} picked={statuses} onPick={toggle} />
      <section class="side" aria-label={t("incidents.list")}>
        <div class="side-head">
          <Segments
            label={t("incidents.span")}
            value={span}
            onPick={setSpan}
            choices={SPANS.map((value) => ({ value, label: word("span", value) }))}
          />
          <div class="form-pair">
            <select
              aria-label={t("incidents.category")}
              value={category}
              onChange={(event) => setCategory(event.currentTarget.value)}
            >
              <option value="">{t("incidents.every_category")}</option>
              {(categories.value ?? []).map((one) => (
                <option key={one.code} value={one.code}>
                  {named(one)}
                </option>
              ))}
            </select>
            <input
              type="search"
              placeholder={t("incidents.search")}
              aria-label={t("incidents.search")}
              value={words}
              onInput={(event) => setWords(event.currentTarget.value)}
            />
          </div>
          <div class="shown-row">
            <p class="found" role="status">
              {t("incidents.shown", { n: number(shown.length) })}
              {statuses.size === 0 && <span> {t("incidents.open_only")}</span>}
              {list && total > list.length && <span> {t("incidents.cut", { all: number(total) })}</span>}
            </p>
            <ExportButton session={session} first="incidents" />
          </div>
        </div>
        <div class="side-body">
          {list ? (
            <IncidentList features={shown} chosen={chosen} arrived={arrived} onPick={pick} />
          ) : first.failure ? (
            <Failed problem={first.failure} again={first.again} />
          ) : (
            <Waiting />
          )}
        </div>
      </section>
      <div class="map-place">
        <MapView extent={session.extent} onReady={setMap} label={t("map.incidents")} />
        {chosen === null && place && <FoundCard found={place} onClose={() => choose(null)} />}
        {chosen !== null && (
          <IncidentCard
            key={chosen}
            id={chosen}
            seq={feature?.properties.last_seq}
            onClose={() => setChosen(null)}
            onChanged={() => {
              if (live.value?.state.value !== "live") void watch.load().catch(() => undefined);
            }}
          />
        )}
      </div>
    </div>
  );
}

mount(() => (
  <Shell page="command" aside={<AsOf />}>
    {(session) => <Desk session={session} />}
  </Shell>
));
