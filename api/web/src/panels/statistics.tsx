/** Figures of a plan, tier by tier: how many cells keep the band, how households spread, whether the ground is whole. */

import type { Statistics, Tier, TierStatistics } from "../api/types";
import { named, number, percent, t } from "../i18n";
import { Icon } from "./icons";

/** More numbers than this run into one another below the bars. */
const LABELS_SHOWN = 8;

type Band = [low: number | null, high: number | null];

const inside = ([low, high]: Band, from: number, to: number) =>
  (low === null || from >= low) && (high === null || to <= high);

function Histogram({ bins, band, name }: { bins: TierStatistics["histogram"]; band: Band; name: string }) {
  const most = Math.max(1, ...bins.map(([, , cells]) => cells));
  const every = Math.ceil(bins.length / LABELS_SHOWN);
  return (
    <figure class="histogram">
      <div class="bars" role="img" aria-label={t("stats.histogram", { name })}>
        {bins.map(([from, to, cells], index) => (
          <div
            key={from}
            class={inside(band, from, to) ? "bin" : "bin bin-out"}
            title={t("stats.bin", { from, to, cells })}
          >
            <span class="bin-count">{cells > 0 ? cells : ""}</span>
            <div class="bin-bar" style={{ height: `${(cells / most) * 100}%` }} />
            <span class="bin-from">{index % every === 0 ? from : ""}</span>
          </div>
        ))}
      </div>
      <figcaption>
        {t("stats.households_axis")}
        {band[0] !== null && band[1] !== null && (
          <span class="band-key">{t("stats.band", { low: band[0], high: band[1] })}</span>
        )}
      </figcaption>
    </figure>
  );
}

function bandOf(tier: TierStatistics, tiers: readonly Tier[]): Band {
  const rule = tiers.find((candidate) => candidate.depth === tier.depth);
  return [
    tier.households_min_allowed ?? rule?.households_min ?? null,
    tier.households_max_allowed ?? rule?.households_max ?? null,
  ];
}

function TierFigures({ tier, tiers }: { tier: TierStatistics; tiers: readonly Tier[] }) {
  const name = named(tier);
  return (
    <section class="tier" aria-label={name}>
      <header class="tier-head">
        <h3>{name}</h3>
        <p>
          <strong class="figure">{number(tier.cells)}</strong> {t("stats.cells")}
        </p>
        <p>
          <strong class="figure">{percent(tier.in_band_ratio)}</strong> {t("stats.in_band")}
        </p>
      </header>
      <dl class="triple">
        <div>
          <dt>{t("stats.min")}</dt>
          <dd>{number(tier.households_min)}</dd>
        </div>
        <div>
          <dt>{t("stats.mean")}</dt>
          <dd>{number(tier.households_mean, 1)}</dd>
        </div>
        <div>
          <dt>{t("stats.max")}</dt>
          <dd>{number(tier.households_max)}</dd>
        </div>
      </dl>
      {tier.histogram?.length > 0 && <Histogram bins={tier.histogram} band={bandOf(tier, tiers)} name={name} />}
    </section>
  );
}

function Sound({ label, value, text }: { label: string; value: number | null; text: string }) {
  if (value === null) return null;
  const good = Math.round(value) === 0;
  return (
    <li class={good ? "sound" : "sound sound-bad"}>
      <Icon name={good ? "check" : "warn"} size={18} />
      <span>{label}</span>
      <strong>{text}</strong>
    </li>
  );
}

export function StatisticsPanel({ statistics, tiers }: { statistics: Statistics; tiers: readonly Tier[] }) {
  const squareMetres = (value: number | null) => `${number(value)} m²`;
  return (
    <div class="statistics">
      {statistics.tiers.map((tier) => (
        <TierFigures key={tier.depth} tier={tier} tiers={tiers} />
      ))}
      <ul class="soundness" aria-label={t("stats.soundness")}>
        <Sound label={t("stats.gaps")} value={statistics.gap_m2} text={squareMetres(statistics.gap_m2)} />
        <Sound label={t("stats.overlaps")} value={statistics.overlap_m2} text={squareMetres(statistics.overlap_m2)} />
        <Sound
          label={t("stats.not_contiguous")}
          value={statistics.not_contiguous}
          text={number(statistics.not_contiguous)}
        />
      </ul>
    </div>
  );
}
