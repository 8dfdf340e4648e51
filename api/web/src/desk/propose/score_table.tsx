/** Scores of several plans side by side; the best of each row is marked, by a star as well as by weight. */

import { named, number, percent, t } from "../../i18n";
import type { Scores } from "./types";

interface Measure {
  name: string;
  of: (scores: Scores) => number | null;
  show: (value: number | null) => string;
  /** Whether less is better; null where neither is. */
  less: boolean | null;
  hint?: string;
}

export interface Extra {
  name: string;
  values: (number | null)[];
  less: boolean;
}

function measures(first: Scores): Measure[] {
  const tiers = first.tiers.map((tier, index) => ({
    name: t("propose.in_band", { tier: named(tier) }),
    of: (scores: Scores) => scores.tiers[index]?.passing_ratio ?? null,
    show: percent,
    less: false,
  }));
  const cells = first.tiers.map((tier, index) => ({
    name: t("propose.cells", { tier: named(tier) }),
    of: (scores: Scores) => scores.tiers[index]?.cells ?? null,
    show: (value: number | null) => number(value),
    less: null,
  }));
  const principles = first.principles.map((principle, index) => ({
    name: named(principle),
    of: (scores: Scores) => scores.principles[index]?.score ?? null,
    show: (value: number | null) => number(value, 1),
    less: false,
    hint: principle.source,
  }));
  return [
    ...tiers,
    {
      name: t("propose.compactness"),
      of: (scores) => scores.tiers[0]?.compactness_mean ?? null,
      show: (value) => number(value, 2),
      less: false,
      hint: "4πA/P²",
    },
    {
      name: t("propose.on_barriers"),
      of: (scores) => scores.boundary_on_barriers_ratio,
      show: percent,
      less: false,
      hint: t("propose.on_barriers_hint"),
    },
    {
      name: t("propose.compounds_cut"),
      of: (scores) => scores.small_compounds_cut,
      show: (value) => number(value),
      less: true,
      hint: t("propose.compounds_cut_hint", { n: first.small_compounds }),
    },
    ...cells,
    ...principles,
  ];
}

/** The best of some values, to what is shown of them; undefined where all are alike. */
function bestOf(shown: string[], values: (number | null)[], less: boolean | null): string | undefined {
  const known = values.flatMap((value, index) => (value === null ? [] : [[value, shown[index]] as const]));
  if (less === null || new Set(shown).size < 2 || known.length < 2) return undefined;
  return known.reduce((best, one) => ((less ? one[0] < best[0] : one[0] > best[0]) ? one : best))[1];
}

function Cells({ shown, best }: { shown: string[]; best: string | undefined }) {
  return (
    <>
      {shown.map((words, index) => (
        <td key={index} class={`numeric${words === best ? " best" : ""}`}>
          {words}
          {words === best && <span class="best-sign" title={t("propose.best")} />}
        </td>
      ))}
    </>
  );
}

interface Props {
  label: string;
  columns: { head: string; title: string; scores: Scores }[];
  extra?: Extra[];
  chosen?: number;
  onPick?: (column: number) => void;
}

export function ScoreTable({ label, columns, extra = [], chosen, onPick }: Props) {
  if (columns.length === 0) return null;
  const all = columns.map(({ scores }) => scores);
  return (
    <table class="scores" aria-label={label}>
      <thead>
        <tr>
          <th scope="col">
            <span class="read-only">{t("propose.measure")}</span>
          </th>
          {columns.map(({ head, title }, index) => (
            <th key={index} scope="col" class="numeric" title={title} aria-current={chosen === index || undefined}>
              {onPick && index > 0 ? (
                <button type="button" class="score-pick" aria-pressed={chosen === index} onClick={() => onPick(index)}>
                  {head}
                </button>
              ) : (
                head
              )}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {extra.map(({ name, values, less }) => {
          const shown = values.map((value) => number(value));
          return (
            <tr key={name}>
              <th scope="row">{name}</th>
              <Cells shown={shown} best={bestOf(shown.slice(1), values.slice(1), less)} />
            </tr>
          );
        })}
        {measures(all[0]).map(({ name, of, show, less, hint }) => {
          const values = all.map(of);
          const shown = values.map(show);
          return (
            <tr key={name}>
              <th scope="row" title={hint}>
                {name}
              </th>
              <Cells shown={shown} best={bestOf(shown, values, less)} />
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
