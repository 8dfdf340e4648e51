import { useContext } from "preact/hooks";
import { named, number, t, word } from "../../i18n";
import { Icon } from "../../panels/icons";
import { ChoiceField, DateField, Faults, FaultsOf, More, NumberField, TextField } from "./fields";
import { type Checked, type Definition, type Draft, newTier, type RuleTier, type Stated, type Term } from "./shapes";
import { TierForm } from "./tier_form";
import { WeightsForm } from "./weights_form";

const MOST_TIERS = 6;

function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const left = list.filter((_, index) => index !== from);
  return [...left.slice(0, to), list[from], ...left.slice(to)];
}

const tierName = (tier: RuleTier, place: number) => named(tier) || t("ruleset.tier_n", { n: place + 1 });

/** "A grid is made of 4 to 10 micro-grids", where the bands say so. */
function madeOf(place: number, tiers: readonly RuleTier[], checked: Checked | null): string | null {
  const nest = checked?.nesting.find(({ upper }) => upper === place);
  const lower = nest && tiers[nest.lower];
  if (!nest || !lower || nest.least > nest.most) return null;
  return t("ruleset.made_of", {
    upper: tierName(tiers[place], place),
    lower: tierName(lower, nest.lower),
    least: nest.least,
    most: nest.most,
  });
}

/** How many things are wrong, and a way to the first. */
function Summary() {
  const faults = useContext(Faults);
  const count = (severity: string) => faults.filter((fault) => fault.severity === severity).length;
  const goToFirst = () => {
    const place = document.querySelector(".rules-panel .fault-error, .rules-panel .fault-warning");
    place?.closest("details")?.setAttribute("open", "");
    place?.scrollIntoView({ block: "center" });
    place?.parentElement?.parentElement?.querySelector<HTMLElement>("input, select, textarea")?.focus();
  };
  const [errors, warnings] = [count("error"), count("warning")];
  return (
    <div class="check-summary" role="status" data-errors={errors} data-warnings={warnings}>
      {errors + warnings === 0 ? (
        <span class="check-fine">
          <Icon name="check" size={18} />
          {t("ruleset.fine")}
        </span>
      ) : (
        <>
          {errors > 0 && <strong class="check-errors">{t("ruleset.errors", { n: errors })}</strong>}
          {warnings > 0 && <strong class="check-warnings">{t("ruleset.warnings", { n: warnings })}</strong>}
          <button type="button" class="button-quiet" onClick={goToFirst}>
            <Icon name="target" size={18} />
            {t("ruleset.go_to_first")}
          </button>
        </>
      )}
    </div>
  );
}

interface StatedProps {
  tiers: readonly RuleTier[];
  stated: Stated;
  slots: number | null;
  onChange: (stated: Stated) => void;
}

/** Numbers that the place has published, to be held against the rules. */
function StatedForm({ tiers, stated, slots, onChange }: StatedProps) {
  const grids = tiers.map((tier, place) => ({ tier, place })).filter(({ tier }) => tier.kind !== "area");
  const withCells = (n: number, value: number | null) =>
    grids.map((_, index) => (index === n ? value : (stated.cells[index] ?? null)));
  return (
    <More label={t("ruleset.stated")} fields="stated">
      <div class="form">
        <p class="field-hint">{t("ruleset.stated_hint")}</p>
        <div class="form-pair">
          <NumberField
            label={t("ruleset.stated_households")}
            field="stated.households"
            value={stated.households}
            most={1e9}
            onChange={(households) => onChange({ ...stated, households })}
          />
          <NumberField
            label={t("ruleset.stated_people")}
            field="stated.people"
            value={stated.people}
            most={1e9}
            onChange={(people) => onChange({ ...stated, people })}
          />
        </div>
        {grids.map(({ tier, place }, n) => (
          <NumberField
            key={place}
            label={t("ruleset.stated_cells", { tier: tierName(tier, place) })}
            field={`stated.cells.${n}`}
            value={stated.cells[n] ?? null}
            most={1e9}
            onChange={(value) => onChange({ ...stated, cells: withCells(n, value) })}
          />
        ))}
        {slots !== null && <p>{t("ruleset.slots", { n: number(slots) })}</p>}
      </div>
    </More>
  );
}

interface Props {
  draft: Draft;
  checked: Checked | null;
  terms: readonly Term[];
  saving: boolean;
  onChange: (draft: Draft) => void;
  onSave: () => void;
  onDrop: () => void;
}

export function Editor({ draft, checked, terms, saving, onChange, onSave, onDrop }: Props) {
  const { definition } = draft;
  const put = (changes: Partial<Definition>) => onChange({ ...draft, definition: { ...definition, ...changes } });
  const putTiers = (tiers: RuleTier[]) => put({ tiers });
  const { tiers } = definition;
  return (
    <Faults.Provider value={checked?.items ?? []}>
      <form
        class="form rules-form"
        aria-label={t("ruleset.edit_title")}
        onSubmit={(event) => {
          event.preventDefault();
          onSave();
        }}
      >
        <p class="over">{t("ruleset.copy_of", { name: draft.base })}</p>
        <Summary />
        <TextField
          label={t("ruleset.set_name")}
          field="name_zh"
          value={definition.name_zh}
          most={200}
          onChange={(name_zh) => put({ name_zh })}
        />
        <TextField
          label={t("ruleset.name_en")}
          field="name_en"
          value={definition.name_en}
          most={200}
          onChange={(name_en) => put({ name_en })}
        />
        <TextField
          label={t("ruleset.source")}
          field="source"
          value={definition.source}
          most={1000}
          lines={3}
          hint={t("ruleset.source_hint")}
          onChange={(source) => put({ source })}
        />
        <label class="check-line">
          <input
            type="checkbox"
            checked={definition.is_verified}
            onChange={(event) => put({ is_verified: event.currentTarget.checked })}
          />
          {t("ruleset.verified")}
        </label>
        <label class="check-line">
          <input
            type="checkbox"
            checked={definition.keep_buildings_whole}
            onChange={(event) => put({ keep_buildings_whole: event.currentTarget.checked })}
          />
          {t("ruleset.keep_whole")}
        </label>

        <h3>{t("ruleset.tiers")}</h3>
        <FaultsOf field="tiers" />
        {tiers.map((tier, place) => (
          <TierForm
            key={place}
            place={place}
            count={tiers.length}
            tier={tier}
            made={madeOf(place, tiers, checked)}
            onChange={(changed) => putTiers(tiers.map((one, index) => (index === place ? changed : one)))}
            onMove={(by) => putTiers(moved(tiers, place, place + by))}
            onRemove={() => putTiers(tiers.filter((_, index) => index !== place))}
          />
        ))}
        <button
          type="button"
          class="button"
          disabled={tiers.length >= MOST_TIERS}
          onClick={() => putTiers([...tiers, newTier(tiers.at(-1)?.kind === "micro_grid" ? "micro_grid" : "grid")])}
        >
          <Icon name="plus" size={18} />
          {t("ruleset.add_tier")}
        </button>

        <h3>{t("ruleset.weights")}</h3>
        <p class="field-hint">{t("ruleset.weights_hint")}</p>
        <WeightsForm terms={terms} weights={definition.weights} onChange={(weights) => put({ weights })} />

        <StatedForm
          tiers={tiers}
          stated={draft.stated}
          slots={checked?.slots ?? null}
          onChange={(stated) => onChange({ ...draft, stated })}
        />

        <h3>{t("ruleset.dates")}</h3>
        {draft.areas.length > 1 && (
          <ChoiceField
            label={t("ruleset.area")}
            field="area_id"
            value={String(draft.area_id)}
            choices={draft.areas.map((area) => String(area.id))}
            say={(id) => named(draft.areas.find((area) => String(area.id) === id))}
            onChange={(id) => onChange({ ...draft, area_id: Number(id) })}
          />
        )}
        <div class="form-pair">
          <DateField
            label={t("ruleset.from")}
            field="valid_from"
            value={draft.from}
            onChange={(from) => onChange({ ...draft, from })}
          />
          <DateField
            label={t("ruleset.to")}
            field="valid_to"
            value={draft.to}
            onChange={(to) => onChange({ ...draft, to })}
          />
        </div>
        <div class="rules-acts">
          <button type="submit" class="button button-main" disabled={saving || !draft.from || !checked?.may_store}>
            <Icon name="check" />
            {t("ruleset.save")}
          </button>
          <button type="button" class="button" onClick={onDrop}>
            {t("ruleset.drop")}
          </button>
        </div>
        {checked && !checked.may_store && (
          <p class="field-hint">{t("ruleset.cannot_save", { word: word("ruleset_severity", "error") })}</p>
        )}
      </form>
    </Faults.Provider>
  );
}
