/** The desk as a page: panels at the side, the map with tools, figures and news over it. */

import type { RefObject } from "preact";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { named, t, useLanguage, word } from "../i18n";
import { MapView } from "../map/map_view";
import { lookAt, makeBareMap, type TownMap } from "../map/town_map";
import { DraftDialog } from "../panels/draft_dialog";
import { Segments } from "../panels/field_row";
import { FoundCard } from "../panels/found_card";
import { Icon } from "../panels/icons";
import { Waiting } from "../panels/states";
import { address, addressed, addressedNumber } from "../state/address";
import { connection } from "../state/connection";
import { useFound } from "../state/found_on_map";
import { choose } from "../state/search";
import { may } from "../state/session";
import { useValue } from "../state/value";
import { Arrivals } from "./arrivals";
import { act } from "./commands";
import { DeskDialogs } from "./dialogs";
import { Figures } from "./figures";
import { Hand } from "./hand";
import { useKeys } from "./keys";
import { DeskLayers } from "./layers";
import { DeskLegend } from "./legend";
import { addDeskLayers } from "./map_layers";
import { News } from "./news";
import { addDeskPictures } from "./pictures";
import type { Colouring, DeskState } from "./state";
import { TABS } from "./tabs";
import { ActBar, BrushBar, Toolbar } from "./toolbar";

const COLOURINGS: readonly Colouring[] = ["cell", "households", "compact", "people", "change", "none"];

const numbers = (text: string | null) => (text ?? "").split(",").filter(Boolean).map(Number);

/** What the address bar says of the view. */
export function readAddress(desk: DeskState): void {
  const asked = addressedNumber("depth");
  if (asked !== null && desk.board.tier(asked)) desk.depth.set(asked);
  const colour = addressed("colour") as Colouring;
  if (COLOURINGS.includes(colour)) desk.colouring.set(colour);
  const wanted = addressed("tab");
  if (TABS.some(({ key }) => key === wanted)) desk.tab.set(wanted!);
  const chosen = numbers(addressed("cells")).filter((id) => desk.board.cells.get(id)?.depth === desk.depth.value);
  desk.select(
    chosen,
    numbers(addressed("faces")).filter((id) => desk.board.faces.has(id)),
  );
}

/** The view into the address bar. */
function useAddress(desk: DeskState): void {
  const depth = useValue(desk.depth);
  const colouring = useValue(desk.colouring);
  const tab = useValue(desk.tab);
  const { cells, faces } = useValue(desk.selection);
  useEffect(() => {
    const chosen = cells.filter((id) => id > 0).join(",");
    const picked = faces.length > 40 ? "" : faces.join(",");
    address({ plan: desk.plan.id, depth, colour: colouring, tab, cells: chosen, faces: picked });
  }, [desk, depth, colouring, tab, cells, faces]);
}

/** A bare map with the desk's layers, which wait for a board. */
async function makeDeskMap(container: HTMLElement): Promise<TownMap> {
  const map = await makeBareMap(container);
  addDeskPictures(map);
  addDeskLayers(map);
  return map;
}

/** The board on the map, which is asked for its cells before panels take the page's time. */
function useLayers(desk: DeskState | null, map: TownMap | null): DeskLayers | null {
  const language = useLanguage();
  const [layers, setLayers] = useState<DeskLayers | null>(null);
  useLayoutEffect(() => {
    if (!desk || !map) return;
    lookAt(map, desk.plan.bbox);
    desk.map.set(map);
    const made = new DeskLayers(map, desk, () => setLayers(made));
    return () => {
      made.close();
      setLayers(null);
    };
  }, [desk, map]);
  useEffect(() => layers?.again(), [language]);
  return layers;
}

function useHand(layers: DeskLayers | null): Hand | null {
  const [hand, setHand] = useState<Hand | null>(null);
  useEffect(() => {
    if (!layers) return;
    const { map, desk } = layers;
    const made = new Hand(map, desk, layers, (edit) => act(desk, edit));
    setHand(made);
    return () => {
      made.close();
      setHand(null);
    };
  }, [layers]);
  return hand;
}

function Saving({ desk }: { desk: DeskState }) {
  const unsent = useValue(desk.unsent);
  const line = useValue(connection);
  if (!desk.mayEdit) return <span class="chip">{t("desk.read_only")}</span>;
  if (unsent === 0) {
    return (
      <span class="chip chip-saved">
        <Icon name="check" size={14} />
        {t("desk.saved")}
      </span>
    );
  }
  const text = line === "lost" ? t("desk.waiting", { n: unsent }) : t("desk.saving", { n: unsent });
  return (
    <span class={`chip chip-${line === "lost" ? "waiting" : "saving"}`} role="status">
      <Icon name={line === "lost" ? "wifi" : "refresh"} size={14} />
      {text}
    </span>
  );
}

/** From a plan that cannot be edited to a draft that begins with it. */
function DraftButton({ desk }: { desk: DeskState }) {
  const [isAsked, setAsked] = useState(false);
  return (
    <>
      <button type="button" class="button" onClick={() => setAsked(true)}>
        <Icon name="pen" size={18} />
        {t("desk.make_draft")}
      </button>
      {isAsked && <DraftDialog plan={desk.plan} onClose={() => setAsked(false)} />}
    </>
  );
}

function Head({ desk }: { desk: DeskState }) {
  useValue(desk.revision);
  const { plan, mayEdit, session } = desk;
  return (
    <header class="desk-head">
      <a class="button-bare" href={`/planner?plan=${plan.id}`} aria-label={t("desk.back")} title={t("desk.back")}>
        <Icon name="back" />
      </a>
      <h1 title={plan.title}>{plan.title || `#${plan.id}`}</h1>
      <span class={`chip chip-plan-${plan.state}`}>{word("plan_state", plan.state)}</span>
      {desk.lockedAll && (
        <span class="chip chip-locked">
          <Icon name="lock" size={14} />
          {t("desk.all_locked")}
        </span>
      )}
      <Saving desk={desk} />
      {!mayEdit && may(session, "planner") && <DraftButton desk={desk} />}
    </header>
  );
}

function Tabs({ desk }: { desk: DeskState }) {
  const tab = useValue(desk.tab);
  const shown = TABS.find(({ key }) => key === tab) ?? TABS[0];
  return (
    <>
      <div class="tab-row" role="tablist" aria-label={t("plan.views")}>
        {TABS.map(({ key, icon }) => (
          <button
            key={key}
            type="button"
            role="tab"
            id={`tab-${key}`}
            aria-selected={key === shown.key}
            aria-controls="tab-panel"
            onClick={() => desk.tab.set(key)}
          >
            <Icon name={icon} size={18} />
            {word("desk_tab", key)}
          </button>
        ))}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled by keyboard too */}
      <div class="side-body" id="tab-panel" role="tabpanel" tabIndex={0} aria-labelledby={`tab-${shown.key}`}>
        <h2 class="read-only">{word("desk_tab", shown.key)}</h2>
        <shown.Panel desk={desk} />
      </div>
    </>
  );
}

function View({ desk, households, onHouseholds }: { desk: DeskState; households: boolean; onHouseholds: () => void }) {
  const depth = useValue(desk.depth);
  const colouring = useValue(desk.colouring);
  return (
    <div class="map-tools">
      <Segments
        label={t("plan.tier")}
        value={String(depth)}
        onPick={(value) => desk.show(Number(value))}
        choices={desk.tiers.map((one) => ({ value: String(one.depth), label: named(one) }))}
      />
      <select
        class="colour-picker"
        aria-label={t("plan.colour")}
        value={colouring}
        onChange={(event) => desk.colouring.set(event.currentTarget.value as Colouring)}
      >
        {COLOURINGS.map((one) => (
          <option key={one} value={one}>
            {word("desk_colour", one)}
          </option>
        ))}
      </select>
      <button type="button" class="button" aria-pressed={households} aria-keyshortcuts="H" onClick={onHouseholds}>
        {t("desk.show_households")}
      </button>
    </div>
  );
}

interface OnMapProps {
  desk: DeskState;
  layers: DeskLayers;
  hand: Hand | null;
}

/** What stands over the map. */
function OnMap({ desk, layers, hand }: OnMapProps) {
  const place = useFound(layers.map);
  const [households, setHouseholds] = useState(false);
  const toggle = useCallback(() => setHouseholds((shown) => !shown), []);
  useEffect(() => layers.showHouseholds(households), [layers, households]);
  useKeys(desk, hand, toggle);
  return (
    <>
      <Toolbar desk={desk} />
      <div class="desk-top">
        <View desk={desk} households={households} onHouseholds={toggle} />
        {hand && <BrushBar desk={desk} hand={hand} />}
        <ActBar desk={desk} />
        <Arrivals desk={desk} />
        <News desk={desk} layers={layers} />
      </div>
      <Figures desk={desk} hand={hand} />
      <DeskLegend desk={desk} />
      {place && <FoundCard found={place} onClose={() => choose(null)} />}
    </>
  );
}

function Side({ desk }: { desk: DeskState }) {
  useAddress(desk);
  return (
    <>
      <Head desk={desk} />
      <Tabs desk={desk} />
    </>
  );
}

type Frame = RefObject<HTMLElement | null>;

function useMark(frame: Frame, name: string, value: string | number): void {
  useLayoutEffect(() => {
    if (frame.current) frame.current.dataset[name] = String(value);
  }, [value]);
}

/** How the desk is, told at its frame: nothing else of the desk is compared when an edit is sent. */
function Marks({ desk, frame }: { desk: DeskState; frame: Frame }) {
  useMark(frame, "desk", useValue(desk.unsent) === 0 ? "saved" : "saving");
  useMark(frame, "seq", useValue(desk.seq));
  useMark(frame, "tool", useValue(desk.tool));
  return null;
}

/** The desk; until there is one, its frame with the map in its place, which has its size when the cells come. */
export function Desk({ desk }: { desk: DeskState | null }) {
  useLanguage();
  const frame = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<TownMap | null>(null);
  const layers = useLayers(desk, map);
  const hand = useHand(layers);
  const isLaid = desk !== null && layers !== null;
  return (
    <div class="planner desk-page" ref={frame} data-hand={hand ? "ready" : "none"}>
      <section class="side" aria-label={t("desk.title")}>
        {isLaid ? <Side desk={desk} /> : <Waiting label={t("desk.opening")} />}
      </section>
      <div class="map-place">
        <MapView extent={null} onReady={setMap} label={t("map.title")} make={makeDeskMap} />
        {isLaid && <OnMap desk={desk} layers={layers} hand={hand} />}
      </div>
      {isLaid && <DeskDialogs desk={desk} />}
      {isLaid && <Marks desk={desk} frame={frame} />}
    </div>
  );
}
