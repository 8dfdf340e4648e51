/** What is asked of the partitioner: which part of the draft, how much may change, how many alternatives. */

import { useState } from "preact/hooks";
import { type Problem, post } from "../../api/client";
import { number, t } from "../../i18n";
import { type Effort, EffortField, SeedField } from "../../panels/effort_fields";
import { FieldRow, Segments } from "../../panels/field_row";
import { Icon } from "../../panels/icons";
import { Refused } from "../../panels/states";
import { useValue } from "../../state/value";
import type { DeskState } from "../state";
import type { Broken, ProposalRun, Scope } from "./types";

const STOPS = 4;

/** In words: how many cells and buildings stay as they are. */
function Locked({ desk }: { desk: DeskState }) {
  const cells = [...desk.board.cells.values()].filter(({ locked }) => locked).length;
  const buildings = [...desk.board.buildings.values()].filter(({ locked }) => locked).length;
  const words = desk.lockedAll
    ? t("propose.locked_all")
    : cells + buildings > 0
      ? t("propose.locked", { cells: number(cells), buildings: number(buildings) })
      : t("propose.locked_none");
  return (
    <p class="propose-locked">
      <Icon name={cells + buildings > 0 || desk.lockedAll ? "lock" : "unlock"} size={18} />
      {words}
    </p>
  );
}

interface Props {
  desk: DeskState;
  broken: Broken[];
  onStarted: (run: ProposalRun) => void;
}

export function AskForm({ desk, broken, onStarted }: Props) {
  useValue(desk.revision);
  const { cells } = useValue(desk.selection);
  const [scope, setScope] = useState<Scope>(broken.length > 0 ? "broken" : "all");
  const [place, setPlace] = useState(STOPS / 2);
  const [count, setCount] = useState<"1" | "2" | "3">("3");
  const [effort, setEffort] = useState<Effort>("draft");
  const [seed, setSeed] = useState(0);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const known = cells.filter((id) => id > 0);
  const nothing = (scope === "selected" && known.length === 0) || (scope === "broken" && broken.length === 0);

  const start = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const { run } = await post<{ run: ProposalRun }>(`/api/v1/plans/${desk.plan.id}/proposals`, {
        scope,
        cells: scope === "selected" ? known : [],
        stability: place / STOPS,
        effort,
        alternatives: Number(count),
        seed,
      });
      onStarted(run);
    } catch (reason) {
      setProblem(reason as Problem);
    }
    setBusy(false);
  };

  return (
    <form class="form propose-form" onSubmit={start}>
      <Segments
        label={t("propose.scope")}
        value={scope}
        onPick={setScope}
        choices={[
          { value: "broken", label: t("propose.scope_broken", { n: broken.length }) },
          { value: "selected", label: t("propose.scope_selected", { n: known.length }) },
          { value: "all", label: t("propose.scope_all") },
        ]}
      />
      <p class="propose-hint">
        {scope === "selected" && known.length === 0 ? t("propose.select_first") : t(`propose.about_${scope}`)}
      </p>
      <Locked desk={desk} />
      <FieldRow label={t("propose.stability")}>
        <input
          type="range"
          min={0}
          max={STOPS}
          step={1}
          value={place}
          aria-valuetext={t(`propose.stability_${place}` as "propose.stability_0")}
          onInput={(event) => setPlace(Number(event.currentTarget.value))}
        />
        <span class="propose-ends" aria-hidden="true">
          <span>{t("propose.quality")}</span>
          <strong>{t(`propose.stability_${place}` as "propose.stability_0")}</strong>
          <span>{t("propose.stay")}</span>
        </span>
      </FieldRow>
      <div class="form-pair">
        <div class="field-row">
          <span class="field-label">{t("propose.alternatives")}</span>
          <Segments
            label={t("propose.alternatives")}
            value={count}
            onPick={setCount}
            choices={[
              { value: "1", label: "1" },
              { value: "2", label: "2" },
              { value: "3", label: "3" },
            ]}
          />
        </div>
        <EffortField value={effort} onPick={setEffort} />
      </div>
      <details class="propose-more">
        <summary>{t("propose.more")}</summary>
        <SeedField value={seed} onPick={setSeed} />
      </details>
      <Refused problem={problem} />
      <button
        type="submit"
        class="button button-main button-wide"
        disabled={busy || nothing || !desk.mayEdit || desk.lockedAll}
      >
        <Icon name="play" />
        {t("propose.start")}
      </button>
    </form>
  );
}
