/** The way of a plan: what was done, by whom, when and by which document; what it is now; what is still to come. */

import { t, word } from "../../i18n";
import { Icon, type IconName } from "../../panels/icons";
import { when } from "./decision";
import type { LogItem, PlanLog } from "./types";

const AHEAD = ["submit", "review", "approve", "publish", "in_force"] as const;
/** How many of the steps ahead a state has behind it. */
const BEHIND: Record<string, number> = { draft: 0, submitted: 1, reviewed: 2, approved: 3, future: 4 };
const BACK = new Set(["return", "recall", "withdraw", "discard"]);

const iconOf = (kind: string): IconName =>
  BACK.has(kind) ? "back" : kind === "create" ? "plus" : kind === "store" ? "grid" : "check";

function Entry({ item }: { item: LogItem }) {
  return (
    <li class={`way-step way-done${BACK.has(item.kind) ? " way-back" : ""}`} data-kind={item.kind}>
      <span class="way-mark">
        <Icon name={iconOf(item.kind)} size={14} />
      </span>
      <div>
        <p class="way-what">
          <strong>{word("decide.log", item.kind)}</strong>
          {item.document_no && <span class="way-document">{item.document_no}</span>}
        </p>
        <p class="way-who">
          {item.actor === "system" ? t("decide.system") : item.actor}
          {" · "}
          <time dateTime={item.at}>{when(item.at)}</time>
        </p>
        {item.note && <p class="way-note">{item.note}</p>}
      </div>
    </li>
  );
}

/** What came by the calendar, not by anybody's act. */
function Dated({ kind, at, note }: { kind: string; at: string; note?: string }) {
  return (
    <li class="way-step way-done" data-kind={kind}>
      <span class="way-mark">
        <Icon name="clock" size={14} />
      </span>
      <div>
        <p class="way-what">
          <strong>{word("decide.log", kind)}</strong>
        </p>
        <p class="way-who">
          <time dateTime={at}>{when(at)}</time>
        </p>
        {note && <p class="way-who">{note}</p>}
      </div>
    </li>
  );
}

function Ahead({ kinds, from }: { kinds: readonly string[]; from: string | null }) {
  return (
    <li class="way-step way-ahead">
      <span class="way-mark" />
      <p>
        {t("decide.ahead")}
        {kinds.map((kind) => word("decide.log", kind)).join(" → ")}
        {from && ` · ${when(from)}`}
      </p>
    </li>
  );
}

/** Entries before the last return or recall are folded away: the present round is what counts. */
function rounds(items: readonly LogItem[]): [LogItem[], LogItem[]] {
  const drawn = items.filter((item, index) => item.kind !== "store" || items[index + 1]?.kind !== "store");
  const last = drawn.map(({ kind }) => kind === "submit").lastIndexOf(true);
  const turn = drawn.slice(0, Math.max(last, 0)).findLastIndex(({ kind }) => kind === "return" || kind === "recall");
  return turn < 1 ? [[], drawn] : [drawn.slice(0, turn), drawn.slice(turn)];
}

export function Timeline({ log }: { log: PlanLog }) {
  const [before, now] = rounds(log.items);
  const behind = BEHIND[log.state];
  const { effective_from: from, superseded } = log;
  const governs = from !== null && (log.state === "in_force" || log.state === "superseded");
  return (
    <section class="way" aria-label={t("decide.way")}>
      {before.length > 0 && (
        <details>
          <summary>{t("decide.earlier", { n: before.length })}</summary>
          <ol class="way-list">
            {before.map((item) => (
              <Entry key={item.seq} item={item} />
            ))}
          </ol>
        </details>
      )}
      <ol class="way-list">
        {now.map((item) => (
          <Entry key={item.seq} item={item} />
        ))}
        {governs && <Dated kind="in_force" at={from} />}
        {superseded && <Dated kind="superseded" at={superseded.at} note={superseded.title ?? undefined} />}
        {behind !== undefined && <Ahead kinds={AHEAD.slice(behind)} from={from} />}
      </ol>
    </section>
  );
}
