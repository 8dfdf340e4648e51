/** The field worker's page, for one hand on a phone: my buildings, my map, report, my tasks. */

import "../style/incident.css";
import "../style/field.css";
import { useEffect, useLayoutEffect, useMemo, useState } from "preact/hooks";
import { all, get } from "../api/client";
import type { Box, Building, Category, Cell, Id, IncidentFeature, Paged, Place, Session } from "../api/types";
import { moment, t, useLanguage, word } from "../i18n";
import { chooseCells, showCells } from "../map/cells";
import { addFieldLayers, showMe, showOwnBuildings } from "../map/field_layers";
import { addIncidents, chooseIncident, onIncident, showIncidents } from "../map/incident_layer";
import { MapView } from "../map/map_view";
import { goToBox, goToPlace, type TownMap } from "../map/town_map";
import { BuildingList } from "../panels/building_list";
import { cellInCommunity } from "../panels/cell_name";
import { FoundCard } from "../panels/found_card";
import { Icon, type IconName } from "../panels/icons";
import { IncidentCard } from "../panels/incident_card";
import { done } from "../panels/notice";
import { ReportSheet, stepOf } from "../panels/report_sheet";
import { Shell } from "../panels/shell";
import { Shown } from "../panels/shown";
import { Empty } from "../panels/states";
import { categoryOf, StatusMark } from "../panels/status_mark";
import { address, addressed, addressedNumber } from "../state/address";
import { type Draft, keepDraft, keptDraft, newDraft } from "../state/draft";
import { useFound } from "../state/found_on_map";
import { useLoad } from "../state/load";
import { useCommunities } from "../state/places";
import { usePosition } from "../state/position";
import { choose } from "../state/search";
import { mount } from "./mount";

type View = "buildings" | "map" | "report" | "tasks";

const MOST_NAMED = 2;
/** Somebody with more grids than this looks at the command page instead. */
const MOST_ASKED = 8;

const VIEWS: readonly [View, IconName][] = [
  ["buildings", "list"],
  ["map", "map"],
  ["report", "plus"],
  ["tasks", "check"],
];

function around(cells: readonly Cell[]): Box | null {
  const boxes = cells.flatMap((cell) => (cell.bbox ? [cell.bbox] : []));
  if (boxes.length === 0) return null;
  return [
    Math.min(...boxes.map((box) => box[0])),
    Math.min(...boxes.map((box) => box[1])),
    Math.max(...boxes.map((box) => box[2])),
    Math.max(...boxes.map((box) => box[3])),
  ];
}

/** The cells that a person holds a post for; of a grid and its micro-grids, the grid names the round. */
function useOwnCells(): { cells: Cell[]; loading: boolean } {
  const loaded = useLoad(() => all<Cell>("/api/v1/grids", { mine: true, geometry: false }), []);
  const cells = useMemo(() => {
    const rows = loaded.value?.rows ?? [];
    const top = Math.min(...rows.map((cell) => cell.depth));
    return rows.filter((cell) => cell.depth === top);
  }, [loaded.value]);
  return { cells, loading: loaded.busy };
}

function titleOf(cells: readonly Cell[]): string | null {
  if (cells.length === 0) return null;
  if (cells.length > MOST_NAMED) return t("field.several", { n: cells.length });
  return cells.map((cell) => cellInCommunity(cell, cell)).join(" · ");
}

/** What is dispatched to me, then what else is open in my grids. */
async function openTasks(cells: readonly Cell[]): Promise<IncidentFeature[]> {
  const open = (query: Record<string, string | number>) =>
    all<IncidentFeature>("/api/v1/incidents", { open: true, ...query }, 1000).then((found) => found.rows);
  const lists = await Promise.all([
    open({ assigned: "me" }),
    ...cells.slice(0, MOST_ASKED).map((cell) => open({ grid: cell.id })),
  ]);
  return [...new Map(lists.flat().map((task) => [task.properties.id, task])).values()];
}

interface TaskListProps {
  tasks: readonly IncidentFeature[];
  me: Id | undefined;
  onPick: (task: IncidentFeature) => void;
}

function TaskList({ tasks, me, onPick }: TaskListProps) {
  if (tasks.length === 0) return <Empty icon="check">{t("tasks.none")}</Empty>;
  return (
    <ul class="task-list" aria-label={t("tasks.list")}>
      {tasks.map(({ properties: p, ...task }) => (
        <li key={p.id} data-task={p.id} data-status={p.status}>
          <button type="button" onClick={() => onPick({ ...task, properties: p })}>
            <span class="incident-title">{p.title}</span>
            <StatusMark status={p.status} />
            <span class="building-facts">
              {[categoryOf(p), p.compound_name, p.building_name, moment(p.reported_at)].filter(Boolean).join(" · ")}
            </span>
            {me !== undefined && p.assignee?.id === me && <span class="chip chip-mine">{t("tasks.mine")}</span>}
          </button>
        </li>
      ))}
    </ul>
  );
}

function Desk({ session }: { session: Session }) {
  const language = useLanguage();
  useCommunities();
  const [map, setMap] = useState<TownMap | null>(null);
  const [draft, setDraft] = useState<Draft | null>(keptDraft());
  const [view, setView] = useState<View>(
    draft ? "report" : (VIEWS.find(([name]) => name === addressed("view"))?.[0] ?? "buildings"),
  );
  const [building, setBuilding] = useState<Id | null>(addressedNumber("building"));
  const [task, setTask] = useState<Id | null>(addressedNumber("task"));
  const [aim, setAim] = useState<Place | null>(null);

  const { cells, loading } = useOwnCells();
  const box = useMemo(() => around(cells), [cells]);
  const { position, tap } = usePosition(cells[0]?.label ?? null);
  const buildings = useLoad(
    () => all<Building>("/api/v1/buildings", { mine: true, geometry: false }, 2000).then((found) => found.rows),
    [],
  );
  const tasks = useLoad(() => (loading ? null : openTasks(cells)), [language, cells, loading]);
  const categories = useLoad(
    (signal) =>
      get<Paged<Category> | Category[]>("/api/v1/categories", {}, signal).then((answer) =>
        Array.isArray(answer) ? answer : answer.items,
      ),
    [language],
  );

  useEffect(() => address({ view, building, task }), [view, building, task]);
  // Before the next paint: whoever reloads right after a tap must find it again.
  useLayoutEffect(() => keepDraft(draft), [draft]);

  useEffect(() => {
    if (!map) return;
    showCells(map, { plan: null, kind: "micro_grids", depth: null, colouring: "none" });
    addFieldLayers(map);
    addIncidents(map);
    onIncident(map, (id) => {
      setTask(id);
      setView("tasks");
    });
    map.on("moveend", () => setAim(map.getCenter().toArray() as Place));
    map.on("click", (event) => {
      const hit = map.queryRenderedFeatures(event.point, { layers: ["own-buildings", "incident-pin"] });
      const id = hit.find((feature) => feature.layer.id === "own-buildings")?.properties.id;
      if (id !== undefined) setBuilding(Number(id));
    });
  }, [map]);

  useEffect(() => {
    if (!map) return;
    chooseCells(
      map,
      cells.map((cell) => cell.id),
    );
    if (box && !addressed("at")) goToBox(map, box);
  }, [map, cells, box]);

  useEffect(() => {
    if (map) showOwnBuildings(map, buildings.value ?? [], building);
  }, [map, buildings.value, building]);

  useEffect(() => {
    if (map) showMe(map, position?.place ?? null);
  }, [map, position]);

  useEffect(() => {
    if (!map) return;
    const open = tasks.value ?? [];
    showIncidents(map, open);
    chooseIncident(map, open.find((one) => one.properties.id === task) ?? null);
  }, [map, tasks.value, task]);

  const place = useFound(map);
  const isMine = place?.kind === "building" && (buildings.value ?? []).some((one) => one.id === place.id);
  useEffect(() => {
    if (!place) return;
    setView("map");
    setBuilding(place.kind === "building" ? place.id : null);
  }, [place]);

  const pickBuilding = (picked: Building) => {
    setBuilding(picked.id);
    setView("map");
    if (map) goToPlace(map, [picked.lon, picked.lat], 17.5);
  };

  const openView = (next: View) => {
    setView(next);
    setTask(null);
    if (next === "report") {
      setDraft((kept) => kept ?? newDraft());
      if (map && position) map.jumpTo({ center: position.place, zoom: Math.max(map.getZoom(), 16.5) });
      setAim(position?.place ?? null);
    }
  };

  const picking = view === "report" && draft !== null && stepOf(draft) === "place";
  const mapShown = view === "map" || picking;

  return (
    <div class="field" data-view={view}>
      <header class="my-grid">
        <div>
          <p class="over">{session.user.staff?.name ?? session.user.name}</p>
          <h1>{titleOf(cells) ?? (loading ? t("state.loading") : t("field.no_grid"))}</h1>
        </div>
        {position && (
          <p class="position" data-how={position.how}>
            <Icon name="pin" size={18} />
            {word("position", position.how)}
            {position.how === "tapped" && (
              <button type="button" class="button-link" onClick={() => tap(null)}>
                {t("field.untap")}
              </button>
            )}
          </p>
        )}
      </header>
      <div class={mapShown ? "field-map field-map-shown" : "field-map"}>
        <MapView extent={session.extent} onReady={setMap} label={t("map.own")} />
        {picking && <div class="crosshair" aria-hidden="true" />}
        {view === "map" && place && <FoundCard found={place} mine={isMine} onClose={() => choose(null)} />}
        {view === "map" && (
          <div class="map-foot">
            <button
              type="button"
              class="button"
              onClick={() => {
                if (map) tap(map.getCenter().toArray() as Place);
                done(t("field.tapped"));
              }}
            >
              <Icon name="target" />
              {t("field.tap")}
            </button>
            {box && map && (
              <button type="button" class="button" onClick={() => goToBox(map, box)}>
                <Icon name="grid" />
                {t("field.whole_grid")}
              </button>
            )}
          </div>
        )}
      </div>
      <div class={`field-pane${view === "map" ? " field-pane-away" : ""}${picking ? " field-pane-low" : ""}`}>
        {view === "buildings" && (
          <Shown loading={buildings}>
            {(rows) => (
              <BuildingList buildings={rows} from={position?.place ?? null} chosen={building} onPick={pickBuilding} />
            )}
          </Shown>
        )}
        {view === "report" && draft && (
          <ReportSheet
            categories={categories.value}
            draft={draft}
            aim={aim ?? position?.place ?? null}
            onDraft={setDraft}
            onLeave={() => {
              setDraft(null);
              setView("buildings");
            }}
            onSent={() => {
              setDraft(null);
              setView("tasks");
              tasks.again();
              done(t("report.sent"));
            }}
          />
        )}
        {view === "tasks" &&
          (task !== null ? (
            <IncidentCard
              key={task}
              id={task}
              seq={undefined}
              onClose={() => setTask(null)}
              onChanged={() => {
                tasks.again();
              }}
            />
          ) : (
            <Shown loading={tasks}>
              {(rows) => (
                <TaskList
                  tasks={rows}
                  me={session.user.staff?.id}
                  onPick={(picked) => {
                    setTask(picked.properties.id);
                    if (map) goToPlace(map, picked.geometry.coordinates as Place);
                  }}
                />
              )}
            </Shown>
          ))}
      </div>
      <nav class="field-tabs" aria-label={t("field.views")}>
        {VIEWS.map(([name, icon]) => (
          <button
            key={name}
            type="button"
            class={`field-tab field-tab-${name}`}
            aria-current={view === name ? "page" : undefined}
            onClick={() => openView(name)}
          >
            <Icon name={icon} size={26} />
            {word("field_tab", name)}
            {name === "tasks" && tasks.value && tasks.value.length > 0 && (
              <span class="count">{tasks.value.length}</span>
            )}
          </button>
        ))}
      </nav>
    </div>
  );
}

mount(() => <Shell page="field">{(session) => <Desk session={session} />}</Shell>);
