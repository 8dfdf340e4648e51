/** The desk as a page: panels at the side, the map with tools, figures and news over it. */

import { useCallback, useEffect, useState } from "preact/hooks";
import { named, t, useLanguage, word } from "../i18n";
import { MapView } from "../map/map_view";
import { makeBareMap } from "../map/town_map";
import { DraftDialog } from "../panels/draft_dialog";
import { Segments } from "../panels/field_row";
import { FoundCard } from "../panels/found_card";
import { Icon } from "../panels/icons";
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
import { News } from "./news";
import type { Colouring, DeskState } from "./state";
import { TABS } from "./tabs";
import { ActBar, BrushBar, Toolbar } from "./toolbar";

const COLOURINGS: readonly Colouring[] = ["cell", "households", "compact", "people", "change", "none"];

const numbers = (text: string | null) => (text ?? "").split(",").filter(Boolean).map(Number);

/** What the address bar says of the view, and the other way round. */
function useAddress(desk: DeskState): void {
  const depth = useValue(desk.depth);
  const colouring = useValue(desk.colouring);
  const tab = useValue(desk.tab);
  const { cells, faces } = useValue(desk.selection);
  const [isRead, setRead] = useState(false);
  useEffect(() => {
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
    setRead(true);
  }, [desk]);
  useEffect(() => {
    if (!isRead) return;
    const chosen = cells.filter((id) => id > 0).join(",");
    const picked = faces.length > 40 ? "" : faces.join(",");
    address({ plan: desk.plan.id, depth, colour: colouring, tab, cells: chosen, faces: picked });
  }, [isRead, depth, colouring, tab, cells, faces]);
}

/** The map's layers and the hand on it, made when the map is there. */
function useHand(desk: DeskState): { layers: DeskLayers | null; hand: Hand | null } {
  const map = useValue(desk.map);
  const language = useLanguage();
  const [made, setMade] = useState<{ layers: DeskLayers; hand: Hand } | null>(null);
  useEffect(() => {
    if (!map) return;
    const layers = new DeskLayers(map, desk);
    const hand = new Hand(map, desk, layers, (edit) => act(desk, edit));
    setMade({ layers, hand });
    return () => {
      hand.close();
      layers.close();
    };
  }, [map, desk]);
  useEffect(() => made?.layers.again(), [language]);
  return made ?? { layers: null, hand: null };
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

export function Desk({ desk }: { desk: DeskState }) {
  useLanguage();
  useAddress(desk);
  const { layers, hand } = useHand(desk);
  const unsent = useValue(desk.unsent);
  const seq = useValue(desk.seq);
  const tool = useValue(desk.tool);
  const place = useFound(useValue(desk.map));
  const [households, setHouseholds] = useState(false);
  const toggle = useCallback(() => setHouseholds((shown) => !shown), []);
  useEffect(() => layers?.showHouseholds(households), [layers, households]);
  useKeys(desk, hand, toggle);
  return (
    <div
      class="planner desk-page"
      data-desk={unsent === 0 ? "saved" : "saving"}
      data-seq={seq}
      data-tool={tool}
      data-hand={hand ? "ready" : "none"}
    >
      <section class="side" aria-label={t("desk.title")}>
        <Head desk={desk} />
        <Tabs desk={desk} />
      </section>
      <div class="map-place">
        <MapView
          extent={desk.plan.bbox}
          onReady={(map) => desk.map.set(map)}
          label={t("map.title")}
          make={makeBareMap}
        />
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
      </div>
      <DeskDialogs desk={desk} />
    </div>
  );
}
