/** One cell: its code, its households against the band, and who is responsible. */

import { get } from "../api/client";
import type { Cell, GridDetail, Tier } from "../api/types";
import { named, number, t, word } from "../i18n";
import { useLoad } from "../state/load";
import { communityName } from "../state/places";
import { Icon } from "./icons";
import { People } from "./people";
import { Waiting } from "./states";

/** Where a count lies against its band: a line with the band marked and a needle. */
function Gauge({ value, low, high }: { value: number; low: number; high: number }) {
  const end = Math.max(high * 1.4, value * 1.05);
  const at = (households: number) => `${(households / end) * 100}%`;
  return (
    <div class="gauge" aria-hidden="true">
      <div class="gauge-band" style={{ left: at(low), width: at(high - low) }} />
      <div class="gauge-needle" style={{ left: at(value) }} />
      <span class="gauge-mark" style={{ left: at(low) }}>
        {low}
      </span>
      <span class="gauge-mark" style={{ left: at(high) }}>
        {high}
      </span>
    </div>
  );
}

type DetailAnswer = GeoJSON.Feature<GeoJSON.Geometry, GridDetail>;

interface Props {
  cell: Cell;
  tier: Tier | undefined;
  governs: boolean;
  onClose: () => void;
}

export function CellCard({ cell, tier, governs, onClose }: Props) {
  const detail = useLoad<GridDetail>(
    (signal) =>
      governs ? get<DetailAnswer>(`/api/v1/grids/${cell.id}`, {}, signal).then((found) => found.properties) : null,
    [cell.id, governs],
  );
  const { households_min: low = null, households_max: high = null } = tier ?? {};
  return (
    <aside class="card" aria-label={t("cell.title")} data-cell={cell.id}>
      <header class="card-head">
        <div>
          <p class="over">
            {[named(tier), communityName(cell.community_id, cell.community_name)].filter(Boolean).join(" · ")}
          </p>
          <h2 class="code">{cell.code}</h2>
        </div>
        <button type="button" class="button-bare" aria-label={t("act.close")} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <p class="big">
        <strong>{number(cell.households)}</strong> {t("cell.households")}
        <span class={`chip chip-${cell.state}`}>{word("band", cell.state)}</span>
      </p>
      {low !== null && high !== null && <Gauge value={cell.households} low={low} high={high} />}
      <dl class="facts">
        {cell.buildings !== undefined && (
          <div>
            <dt>{t("cell.buildings")}</dt>
            <dd>{number(cell.buildings)}</dd>
          </div>
        )}
        {cell.residents !== null && cell.residents !== undefined && (
          <div>
            <dt>{t("cell.residents")}</dt>
            <dd>{number(cell.residents)}</dd>
          </div>
        )}
        {cell.area_m2 !== null && cell.area_m2 !== undefined && (
          <div>
            <dt>{t("cell.area")}</dt>
            <dd>{number(cell.area_m2 / 10_000, 2)} ha</dd>
          </div>
        )}
        {detail.value && (
          <div>
            <dt>{t("cell.open_incidents")}</dt>
            <dd>{number(detail.value.open_incidents.length)}</dd>
          </div>
        )}
      </dl>
      <h3>{t("people.title")}</h3>
      {governs ? (
        detail.value ? (
          <People people={detail.value.people ?? []} />
        ) : detail.busy ? (
          <Waiting />
        ) : (
          <p class="lack">{t("people.none")}</p>
        )
      ) : (
        <p class="lack">{t("people.when_in_force")}</p>
      )}
    </aside>
  );
}
