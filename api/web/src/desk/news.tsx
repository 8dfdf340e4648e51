/** What others just did to the same plan: who, what, and a dashed line round it for a while. */

import { useEffect, useState } from "preact/hooks";
import { t } from "../i18n";
import { Icon } from "../panels/icons";
import { useValue } from "../state/value";
import { toldOf } from "./history/history_panel";
import type { DeskLayers } from "./layers";
import { joined } from "./plane";
import type { DeskState } from "./state";
import type { Change } from "./types";

const SHOWN_MS = 12_000;
const AT_ONCE = 3;

export function News({ desk, layers }: { desk: DeskState; layers: DeskLayers | null }) {
  const others = useValue(desk.others);
  const [seen, setSeen] = useState(others.length);
  const fresh: readonly Change[] = others.slice(seen).slice(-AT_ONCE);
  useEffect(() => {
    layers?.showOthers(others.slice(seen).flatMap((change) => change.cells.map(({ id }) => id)));
    if (others.length === seen) return;
    const timer = setTimeout(() => setSeen(others.length), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [others, seen, layers]);
  const show = (change: Change) => {
    const boxes = change.cells.map(({ bbox }) => bbox);
    if (boxes.length > 0) desk.goTo(boxes.reduce(joined));
  };
  return (
    <div class="desk-news" role="log" aria-live="polite" aria-label={t("desk.others")}>
      {fresh.map((change) => (
        <p key={change.seq} class="news-line" data-news={change.seq}>
          <Icon name="people" size={18} />
          <span>
            <strong>{change.actor ?? t("desk.somebody")}</strong>: {toldOf(change)}
          </span>
          <button type="button" class="button-link" onClick={() => show(change)}>
            {t("act.go_to")}
          </button>
        </p>
      ))}
    </div>
  );
}
