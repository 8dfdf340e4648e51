/** What the partitioner strives for, as sliders in plain words; the numbers behind them for who wants them. */

import { useId } from "preact/hooks";
import { number, t, word } from "../../i18n";
import { FaultsOf, More, NumberField } from "./fields";
import type { Term } from "./shapes";

type Weights = Record<string, number>;
type Kind = "grid" | "micro_grid";

const SLIDERS = ["balance", "boundary", "group_piece", "compactness", "reach", "similarity", "stability"];
/** What the stops of a slider multiply the usual weight by. */
const STOPS = [0, 0.5, 1, 2, 5];
const STOP_NAMES = ["none", "little", "usual", "much", "most"];

const weightOf = (weights: Weights, term: Term, kind: Kind) =>
  weights[`${kind}.${term.code}`] ?? weights[term.code] ?? term[kind];

function without(weights: Weights, code: string): Weights {
  const gone = [code, `grid.${code}`, `micro_grid.${code}`];
  return Object.fromEntries(Object.entries(weights).filter(([name]) => !gone.includes(name)));
}

/** All weights of a term so many times their usual value. */
export function withFactor(weights: Weights, term: Term, factor: number): Weights {
  const left = without(weights, term.code);
  if (factor === 1) return left;
  if (term.grid > 0) left[`grid.${term.code}`] = term.grid * factor;
  if (term.micro_grid > 0) left[`micro_grid.${term.code}`] = term.micro_grid * factor;
  return left;
}

/** How many times its usual value a term weighs; null where grids and micro-grids differ in that. */
export function factorOf(weights: Weights, term: Term): number | null {
  const kinds: Kind[] = ["grid", "micro_grid"];
  const factors = kinds.filter((kind) => term[kind] > 0).map((kind) => weightOf(weights, term, kind) / term[kind]);
  return factors.every((factor) => Math.abs(factor - factors[0]) < 1e-9) ? factors[0] : null;
}

function Slider({ term, weights, onChange }: { term: Term; weights: Weights; onChange: (weights: Weights) => void }) {
  const id = useId();
  const factor = factorOf(weights, term);
  const nearest = STOPS.reduce((best, stop, n) => {
    const away = (one: number) => Math.abs(one - (factor ?? 1));
    return away(stop) < away(STOPS[best]) ? n : best;
  }, 2);
  const exact = factor !== null && Math.abs(STOPS[nearest] - factor) < 1e-9;
  const said = exact
    ? word("ruleset_stop", STOP_NAMES[nearest])
    : factor === null
      ? t("ruleset.own_weights")
      : t("ruleset.times", { n: number(factor, 1) });
  return (
    <div class="slider">
      <label for={id}>{word("ruleset_weight", term.code)}</label>
      <output for={id}>{said}</output>
      <input
        id={id}
        type="range"
        min={0}
        max={STOPS.length - 1}
        step={1}
        value={nearest}
        aria-valuetext={said}
        onInput={(event) => onChange(withFactor(weights, term, STOPS[Number(event.currentTarget.value)]))}
      />
    </div>
  );
}

interface Props {
  terms: readonly Term[];
  weights: Weights;
  onChange: (weights: Weights) => void;
}

export function WeightsForm({ terms, weights, onChange }: Props) {
  const put = (name: string, value: number | null) => {
    const { [name]: _, ...left } = weights;
    onChange(value === null ? left : { ...left, [name]: value });
  };
  const strange = Object.keys(weights).filter((name) => !terms.some(({ code }) => name.split(".").at(-1) === code));
  return (
    <div class="weights">
      {SLIDERS.flatMap((code) => terms.filter((term) => term.code === code)).map((term) => (
        <Slider key={term.code} term={term} weights={weights} onChange={onChange} />
      ))}
      {strange.map((name) => (
        <div key={name} class="strange">
          <FaultsOf field={`weights.${name}`} />
          <button type="button" class="button-quiet" onClick={() => put(name, null)}>
            {t("ruleset.remove_weight", { name })}
          </button>
        </div>
      ))}
      <More label={t("ruleset.numbers")} fields="weights">
        <div class="weight-numbers">
          {terms.map((term) => (
            <div key={term.code} class="form-pair">
              {(["grid", "micro_grid"] as const).map((kind) => (
                <NumberField
                  key={kind}
                  label={`${word("ruleset_weight", term.code)} · ${word("ruleset_kind", kind)}`}
                  field={`weights.${kind}.${term.code}`}
                  value={weights[`${kind}.${term.code}`] ?? weights[term.code] ?? null}
                  most={1e9}
                  step={0.1}
                  none={String(term[kind])}
                  onChange={(value) => put(`${kind}.${term.code}`, value)}
                />
              ))}
              <FaultsOf field={`weights.${term.code}`} />
            </div>
          ))}
        </div>
      </More>
    </div>
  );
}
