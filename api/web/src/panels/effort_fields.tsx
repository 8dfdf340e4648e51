import { t } from "../i18n";
import { FieldRow, Segments } from "./field_row";

export type Effort = "draft" | "full";
const MOST_SEED = 2 ** 31 - 1;

/** How hard a partition tries. */
export function EffortField({ value, onPick }: { value: Effort; onPick: (value: Effort) => void }) {
  return (
    <div class="field-row">
      <span class="field-label">{t("run.effort")}</span>
      <Segments
        label={t("run.effort")}
        value={value}
        onPick={onPick}
        choices={[
          { value: "draft", label: t("run.effort_draft") },
          { value: "full", label: t("run.effort_full") },
        ]}
      />
    </div>
  );
}

/** The number that makes a partition the same again. */
export function SeedField({ value, onPick }: { value: number; onPick: (value: number) => void }) {
  return (
    <FieldRow label={t("run.seed")} hint={t("run.seed_hint")}>
      <input
        type="number"
        min={0}
        max={MOST_SEED}
        value={value}
        onInput={(event) => onPick(Number(event.currentTarget.value))}
      />
    </FieldRow>
  );
}
