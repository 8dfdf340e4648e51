import type { Violation } from "../api/types";
import { t, word } from "../i18n";
import { Icon, type IconName } from "./icons";
import { Empty } from "./states";

const SIGNS: Record<Violation["severity"], IconName> = {
  violation: "warn",
  rejected: "error",
  repaired: "check",
  note: "info",
};

interface Props {
  violations: Violation[];
  onGo: (violation: Violation) => void;
}

/** Whatever breaks a rule of the plan, worst first, each with a way to its place on the map. */
export function Violations({ violations, onGo }: Props) {
  if (violations.length === 0) return <Empty icon="check">{t("violations.none")}</Empty>;
  return (
    <ul class="violations">
      {violations.map((violation, index) => (
        <li key={index} class={`violation violation-${violation.severity}`}>
          <Icon name={SIGNS[violation.severity] ?? "info"} />
          <div>
            <p class="violation-head">
              <span class="severity">{word("severity", violation.severity)}</span>
              {violation.cell_code && <code>{violation.cell_code}</code>}
            </p>
            <p>{violation.text}</p>
          </div>
          {(violation.bbox || violation.cell_id) && (
            <button type="button" class="button-quiet" onClick={() => onGo(violation)}>
              <Icon name="target" size={18} />
              {t("act.go_to")}
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}
