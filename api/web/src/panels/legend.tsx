import type { Tier } from "../api/types";
import { t, word } from "../i18n";

/** What the fills by band mean: the same colours and patterns as on the map, with the numbers. */
export function BandLegend({ tier }: { tier: Tier }) {
  const { households_min: low, households_max: high } = tier;
  return (
    <section class="legend" aria-label={t("legend.title")}>
      <h3>{t("legend.title")}</h3>
      <ul>
        <li>
          <span class="swatch swatch-under" aria-hidden="true" />
          {word("band", "under")} {low !== null && `< ${low}`}
        </li>
        <li>
          <span class="swatch swatch-in_band" aria-hidden="true" />
          {word("band", "in_band")} {low !== null && high !== null && `${low}–${high}`}
        </li>
        <li>
          <span class="swatch swatch-over" aria-hidden="true" />
          {word("band", "over")} {high !== null && `> ${high}`}
        </li>
      </ul>
    </section>
  );
}
