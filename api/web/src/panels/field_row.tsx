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
