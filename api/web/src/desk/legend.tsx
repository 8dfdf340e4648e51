/** What the colours and signs of the map mean, with the same patterns and the numbers. */

import { t, useLanguage, word } from "../i18n";
import { Icon } from "../panels/icons";
import { useValue } from "../state/value";
import { STEPS } from "./colouring";
import type { DeskState } from "./state";

/** Signs that stand on the map now, whatever it is coloured by. */
function signsOf(desk: DeskState): { name: string; sign: string }[] {
  const { board } = desk;
  const cells = [...board.cells.values()];
  const signs: [name: string, sign: string, isThere: boolean][] = [
    ["dedicated", "pattern-dedicated", cells.some(({ dedicated }) => dedicated)],
    ["locked", "sign-lock", board.lockedBuildings.size > 0 || cells.some(({ locked }) => locked)],
    ["unplaced", "sign-unplaced", board.unplaced().length > 0],
  ];
  return signs.filter(([, , isThere]) => isThere).map(([name, sign]) => ({ name, sign }));
}

export function DeskLegend({ desk }: { desk: DeskState }) {
  useLanguage();
  useValue(desk.revision);
  const colouring = useValue(desk.colouring);
  const tier = desk.board.tier(useValue(desk.depth));
  const steps = STEPS[colouring];
  const signs = signsOf(desk);
  if (steps.length + signs.length === 0) return null;
  const { low = null, high = null } = tier ?? {};
  const bounds: Record<string, string> = {
    under: low === null ? "" : `< ${low}`,
    over: high === null ? "" : `> ${high}`,
    in_band: low === null || high === null ? "" : `${low}–${high}`,
  };
  return (
    <section class="legend" aria-label={t("legend.title")}>
      <h3>{steps.length > 0 ? word("desk_colour", colouring) : t("desk.signs")}</h3>
      <ul>
        {steps.map(({ fill, pattern, word: name }) => (
          <li key={name}>
            <span class={`swatch ${pattern ?? ""}`} style={{ backgroundColor: fill }} aria-hidden="true" />
            {word("desk_legend", name)} {bounds[name] ?? ""}
          </li>
        ))}
        {signs.map(({ name, sign }) => (
          <li key={name}>
            <span class={`swatch ${sign}`} aria-hidden="true">
              {name === "locked" && <Icon name="lock" size={14} />}
            </span>
            {word("desk_legend", name)}
          </li>
        ))}
      </ul>
    </section>
  );
}
