/** Inputs that tell what is wrong with them, beside them and to screen readers. */

import { type ComponentChildren, createContext, type JSX } from "preact";
import { useContext, useId } from "preact/hooks";
import { t, word } from "../../i18n";
import { Icon, type IconName } from "../../panels/icons";
import type { Fault } from "./shapes";

export const Faults = createContext<readonly Fault[]>([]);

const ICONS: Record<Fault["severity"], IconName> = { error: "error", warning: "warn", note: "info" };

export function FaultLine({ fault }: { fault: Fault }) {
  return (
    <p class={`fault fault-${fault.severity}`} data-fault={fault.code}>
      <Icon name={ICONS[fault.severity]} size={16} />
      <span>
        <span class="read-only">{word("ruleset_severity", fault.severity)} </span>
        {fault.text} <span class="fault-way">{fault.remedy}</span>
      </span>
    </p>
  );
}

/** What is wrong with a field, or with anything below it. */
export function FaultsOf({ field, id }: { field: string; id?: string }) {
  const found = useContext(Faults).filter((fault) => fault.field === field);
  if (found.length === 0) return null;
  return (
    <div class="faults" id={id}>
      {found.map((fault) => (
        <FaultLine key={fault.code} fault={fault} />
      ))}
    </div>
  );
}

interface Given {
  id: string;
  "aria-invalid": boolean;
  "aria-describedby": string | undefined;
}

interface Frame {
  label: string;
  field: string;
  hint?: string;
  children: (given: Given) => JSX.Element;
}

/** A label, an input, and what is wrong with it. */
export function Field({ label, field, hint, children }: Frame) {
  const id = useId();
  const found = useContext(Faults).filter((fault) => fault.field === field);
  const wrong = found.some((fault) => fault.severity === "error");
  const described = [hint && `${id}-hint`, found.length > 0 && `${id}-faults`].filter(Boolean).join(" ");
  return (
    <div class="field-row" data-field={field}>
      <label class="field-label" for={id}>
        {label}
      </label>
      {children({ id, "aria-invalid": wrong, "aria-describedby": described || undefined })}
      {hint && (
        <span class="field-hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      <FaultsOf field={field} id={`${id}-faults`} />
    </div>
  );
}

interface TextProps {
  label: string;
  field: string;
  value: string;
  most?: number;
  hint?: string;
  lines?: number;
  onChange: (value: string) => void;
}

export function TextField({ label, field, value, most = 60, hint, lines, onChange }: TextProps) {
  return (
    <Field label={label} field={field} hint={hint}>
      {(given) =>
        lines ? (
          <textarea
            {...given}
            rows={lines}
            maxLength={most}
            value={value}
            onInput={(event) => onChange(event.currentTarget.value)}
          />
        ) : (
          <input
            {...given}
            type="text"
            maxLength={most}
            value={value}
            onInput={(event) => onChange(event.currentTarget.value)}
          />
        )
      }
    </Field>
  );
}

interface NumberProps {
  label: string;
  field: string;
  value: number | null;
  /** What the number is multiplied by before it is shown: 100 for a share as per cent. */
  times?: number;
  most?: number;
  step?: number;
  none?: string;
  hint?: string;
  onChange: (value: number | null) => void;
}

export function NumberField({ label, field, value, times = 1, most = 1_000_000, step = 1, ...more }: NumberProps) {
  const shown = value === null ? "" : String(Number((value * times).toPrecision(12)));
  return (
    <Field label={label} field={field} hint={more.hint}>
      {(given) => (
        <input
          {...given}
          type="number"
          inputMode={step < 1 ? "decimal" : "numeric"}
          min={0}
          max={most}
          step={step}
          value={shown}
          placeholder={more.none}
          onInput={(event) => {
            const typed = event.currentTarget.valueAsNumber;
            more.onChange(Number.isNaN(typed) ? null : (step === 1 ? Math.round(typed) : typed) / times);
          }}
        />
      )}
    </Field>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  field: string;
  value: T;
  choices: readonly T[];
  say: (choice: T) => string;
  onChange: (value: T) => void;
}

export function ChoiceField<T extends string>({ label, field, value, choices, say, onChange }: ChoiceProps<T>) {
  return (
    <Field label={label} field={field}>
      {(given) => (
        <select {...given} value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
          {choices.map((choice) => (
            <option key={choice} value={choice}>
              {say(choice)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function DateField(props: { label: string; field: string; value: string; onChange: (value: string) => void }) {
  return (
    <Field label={props.label} field={props.field}>
      {(given) => (
        <input
          {...given}
          type="date"
          value={props.value}
          onInput={(event) => props.onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** A heading that opens what is asked for more rarely; open by itself where something in it is wrong. */
export function More({ label, fields, children }: { label: string; fields: string; children: ComponentChildren }) {
  const wrong = useContext(Faults).some((fault) => fault.severity !== "note" && fault.field.startsWith(fields));
  return (
    <details class="more" open={wrong || undefined}>
      <summary>
        {label}
        {wrong && <span class="more-wrong">{t("ruleset.look_here")}</span>}
      </summary>
      {children}
    </details>
  );
}
