/** What an import brought since the draft's ground was surveyed: taken up by whoever draws, with one edit. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { number, t } from "../i18n";
import { Icon } from "../panels/icons";
import { done, failed } from "../panels/notice";
import { useValue } from "../state/value";
import { toldOf } from "./history/history_panel";
import { joined } from "./plane";
import type { DeskState } from "./state";
import type { Change } from "./types";

/** Of the base map: what an import brings stands there too. */
const TOWN_LAYERS = ["buildings", "compounds"];

/** What came is selected, and gone to: the next act makes a grid of it, or puts it into one. */
function show(desk: DeskState, change: Change): void {
  const faces = change.buildings.flatMap(({ id }) => desk.board.facesOfBuilding(id));
  if (faces.length === 0) return;
  desk.select(
    [],
    faces.map(({ id }) => id),
  );
  desk.goTo(faces.map(({ box }) => box).reduce(joined));
}

export function Arrivals({ desk }: { desk: DeskState }) {
  const seq = useValue(desk.seq);
  const town = useValue(desk.town);
  const [busy, setBusy] = useState(false);
  const first = useRef(town);
  useEffect(() => {
    if (town !== first.current) for (const layer of TOWN_LAYERS) desk.map.value?.refreshTiles(layer);
  }, [town]);
  const { fresh, recounted } = useMemo(() => desk.board.arrived(), [desk, seq, town]);
  if (!desk.mayEdit || fresh.length + recounted === 0) return null;
  const households = fresh.reduce((sum, building) => sum + building.households, 0);
  const takeUp = () => {
    setBusy(true);
    desk
      .apply({ kind: "take_up" })
      .then((change) => {
        show(desk, change);
        done(toldOf(change));
      }, failed)
      .finally(() => setBusy(false));
  };
  return (
    <p class="news-line arrivals" role="status">
      <Icon name="building" size={18} />
      <span>
        {fresh.length > 0 && t("desk.arrived", { n: number(fresh.length), households: number(households) })}{" "}
        {recounted > 0 && t("desk.recounted", { n: number(recounted) })}
      </span>
      <button type="button" class="button" disabled={busy} onClick={takeUp}>
        {busy ? t("desk.taking_up") : t("desk.take_up")}
      </button>
    </p>
  );
}
