/** What the colours of the map mean, with the same patterns and the numbers. */

import { t, useLanguage, word } from "../i18n";
import { useValue } from "../state/value";
import { STEPS } from "./colouring";
import type { DeskState } from "./state";

export function DeskLegend({ desk }: { desk: DeskState }) {
  useLanguage();
  const colouring = useValue(desk.colouring);
  const tier = desk.board.tier(useValue(desk.depth));
  const steps = STEPS[colouring];
  if (steps.length === 0) return null;
  const { low = null, high = null } = tier ?? {};
  const bounds: Record<string, string> = {
    under: low === null ? "" : `< ${low}`,
    over: high === null ? "" : `> ${high}`,
    in_band: low === null || high === null ? "" : `${low}–${high}`,
  };
  return (
    <section class="legend" aria-label={t("legend.title")}>
      <h3>{word("desk_colour", colouring)}</h3>
      <ul>
        {steps.map(({ fill, pattern, word: name }) => (
          <li key={name}>
            <span class={`swatch ${pattern ?? ""}`} style={{ backgroundColor: fill }} aria-hidden="true" />
            {word("desk_legend", name)} {bounds[name] ?? ""}
          </li>
        ))}
      </ul>
    </section>
  );
}
