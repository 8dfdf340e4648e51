import type { ComponentChildren } from "preact";

/** A labelled input: the label is the words above it, the hint is read with it. */
export function FieldRow({ label, hint, children }: { label: string; hint?: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is among the children
    <label class="field-row">
      <span class="field-label">{label}</span>
      {children}
      {hint && <span class="field-hint">{hint}</span>}
    </label>
  );
}

interface Choice<T extends string> {
  value: T;
  label: string;
}

/** A few choices side by side, one of them taken. */
export function Segments<T extends string>(props: {
  label: string;
  value: T;
  choices: Choice<T>[];
  onPick: (value: T) => void;
}) {
  return (
    <fieldset class="segments" aria-label={props.label}>
      {props.choices.map(({ value, label }) => (
        <button key={value} type="button" aria-pressed={value === props.value} onClick={() => props.onPick(value)}>
          {label}
        </button>
      ))}
    </fieldset>
  );
}

interface PickerProps<T extends string> {
  label: string;
  hint?: string;
  value: T;
  values: readonly T[];
  /** What a value is called. */
  say: (value: T) => string;
  onPick: (value: T) => void;
  /** More options, after these. */
  children?: ComponentChildren;
}

/** One of several values, each by its word. */
export function Picker<T extends string>({ label, hint, value, values, say, onPick, children }: PickerProps<T>) {
  return (
    <FieldRow label={label} hint={hint}>
      <select value={value} onChange={(event) => onPick(event.currentTarget.value as T)}>
        {values.map((one) => (
          <option key={one} value={one}>
            {say(one)}
          </option>
        ))}
        {children}
      </select>
    </FieldRow>
  );
}
