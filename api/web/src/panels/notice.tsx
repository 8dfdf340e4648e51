/** Short words after an act, at the foot of the page; read out by screen readers. */

import { useEffect } from "preact/hooks";
import { Problem } from "../api/client";
import { t } from "../i18n";
import { useValue, Value } from "../state/value";
import { Icon } from "./icons";
import { sentence } from "./states";

interface Word {
  kind: "done" | "failed";
  text: string;
}

const current = new Value<Word | null>(null);
const SHOWN_MS = 6000;

export const done = (text: string) => current.set({ kind: "done", text });

export const failed = (reason: unknown) =>
  current.set({ kind: "failed", text: reason instanceof Problem ? sentence(reason) : String(reason) });

export function Notice() {
  const said = useValue(current);
  useEffect(() => {
    if (said?.kind !== "done") return;
    const timer = setTimeout(() => current.set(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);
  return (
    <div class="notice-place" aria-live="polite">
      {said && (
        <div class={`notice notice-${said.kind}`} role={said.kind === "failed" ? "alert" : "status"}>
          <Icon name={said.kind === "failed" ? "warn" : "check"} />
          <span>{said.text}</span>
          <button type="button" class="button-bare" aria-label={t("act.close")} onClick={() => current.set(null)}>
            <Icon name="close" size={18} />
          </button>
        </div>
      )}
    </div>
  );
}
