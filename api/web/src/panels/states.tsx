/** What a panel shows when it has nothing to show: still loading, empty, failed. */

import type { ComponentChildren } from "preact";
import type { Problem } from "../api/client";
import { t } from "../i18n";
import { Icon, type IconName } from "./icons";

export function Waiting({ label }: { label?: string }) {
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      <p>{label ?? t("state.loading")}</p>
    </div>
  );
}

export function Empty({ icon = "info", children }: { icon?: IconName; children: ComponentChildren }) {
  return (
    <div class="state">
      <Icon name={icon} size={36} />
      <p>{children}</p>
    </div>
  );
}

export const sentence = (problem: Problem): string =>
  problem.lostNetwork ? t("state.network_lost") : problem.detail || t("state.failed");

/** Why what a form asked for was not done, beside its button. */
export function Refused({ problem }: { problem: Problem | null }) {
  if (!problem) return null;
  return (
    <p class="form-problem" role="alert">
      {sentence(problem)}
    </p>
  );
}

export function Failed({ problem, again }: { problem: Problem; again?: () => void }) {
  return (
    <div class="state state-failed" role="alert">
      <Icon name="warn" size={36} />
      <p>{sentence(problem)}</p>
      {again && (
        <button type="button" class="button" onClick={again}>
          <Icon name="refresh" />
          {t("state.again")}
        </button>
      )}
    </div>
  );
}
