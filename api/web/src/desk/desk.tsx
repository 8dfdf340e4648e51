import { useEffect } from "preact/hooks";
import { named, t, useLanguage, word } from "../i18n";
import { MapView } from "../map/map_view";
import { Segments } from "../panels/field_row";
import { Icon } from "../panels/icons";
import { address, addressed, addressedNumber } from "../state/address";
import { useValue } from "../state/value";
import type { DeskState } from "./state";
import { TABS } from "./tabs";

/** What the address bar says of the view, and the other way round. */
function useAddress(desk: DeskState): void {
  const depth = useValue(desk.depth);
  const colouring = useValue(desk.colouring);
  const tab = useValue(desk.tab);
  const { cells } = useValue(desk.selection);
  useEffect(() => {
    const asked = addressedNumber("depth");
    if (asked !== null && desk.board.tier(asked)) desk.depth.set(asked);
    const wanted = addressed("tab");
    if (TABS.some(({ key }) => key === wanted)) desk.tab.set(wanted!);
    const ids = (addressed("cells") ?? "").split(",").map(Number);
    const known = ids.filter((id) => desk.board.cells.get(id)?.depth === desk.depth.value);
    if (known.length > 0) desk.select(known);
  }, [desk]);
  useEffect(() => {
    const chosen = cells.filter((id) => id > 0).join(",");
    address({ plan: desk.plan.id, depth, colour: colouring, tab, cells: chosen || null });
  }, [depth, colouring, tab, cells]);
}

export function Desk({ desk }: { desk: DeskState }) {
  useLanguage();
  useAddress(desk);
  const tab = useValue(desk.tab);
  const depth = useValue(desk.depth);
  const unsent = useValue(desk.unsent);
  const seq = useValue(desk.seq);
  const shown = TABS.find(({ key }) => key === tab) ?? TABS[0];
  return (
    <div class="planner desk-page" data-desk={unsent === 0 ? "saved" : "saving"} data-seq={seq}>
      <section class="side" aria-label={t("desk.title")}>
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
        <div class="side-body" id="tab-panel" role="tabpanel" aria-labelledby={`tab-${shown.key}`}>
          <shown.Panel desk={desk} />
        </div>
      </section>
      <div class="map-place">
        <MapView extent={desk.plan.bbox} onReady={(map) => desk.map.set(map)} label={t("map.title")} />
        <div class="map-tools">
          <Segments
            label={t("plan.tier")}
            value={String(depth)}
            onPick={(value) => {
              desk.select([]);
              desk.depth.set(Number(value));
            }}
            choices={desk.tiers.map((one) => ({ value: String(one.depth), label: named(one) }))}
          />
        </div>
      </div>
    </div>
  );
}
