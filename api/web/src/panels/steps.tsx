import "../style/steps.css";
import { Icon } from "./icons";

export interface Step {
  key: string;
  label: string;
  /** How much of it is done, in words. */
  count?: string;
}

/** The steps of long work, with the one that it is at; beyond the last, all are done. */
export function Steps({ steps, at }: { steps: readonly Step[]; at: number }) {
  return (
    <ol class="steps">
      {steps.map(({ key, label, count }, number) => (
        <li key={key} aria-current={number === at ? "step" : undefined} data-is={number < at ? "done" : undefined}>
          <span class="step-mark" aria-hidden="true">
            {number < at ? <Icon name="check" size={14} /> : number + 1}
          </span>
          <span>
            {label}
            {count && <span class="step-count">{count}</span>}
          </span>
        </li>
      ))}
    </ol>
  );
}
