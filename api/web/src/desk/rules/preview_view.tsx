/** What a rule set makes of a plan: states before and after, cells that change, cells and posts that it would take. */

import { useState } from "preact/hooks";
import { named, number, percent, t, word } from "../../i18n";
import { Icon } from "../../panels/icons";
import type { Board } from "../board";
import { nameByCode } from "../names";
import type { ChangedCell, PostNeed, Preview, State, Sums, TierPreview } from "./shapes";

const STATES: readonly State[] = ["in_band", "under", "over"];
const FIRST_ROWS = 6;

const band = ({ low, high, tolerance }: Sums) =>
  `${low ?? "–"}–${high ?? "–"}${tolerance ? ` ±${percent(tolerance)}` : ""}`;

function Bar({ label, sums, cells }: { label: string; sums: Sums; cells: number }) {
  return (
    <div class="state-row">
      <span class="state-label">
        {label} <small>{band(sums)}</small>
      </span>
      <span class="state-bar" aria-hidden="true">
        {STATES.map((state) => (
          <span
            key={state}
            class={`state-part swatch-${state}`}
            style={{ width: `${(sums[state] / Math.max(cells, 1)) * 100}%` }}
          />
        ))}
      </span>
      <span class="state-counts">
        {STATES.map((state) => (
          <span key={state} class={`sign sign-${state}`}>
            {word("band", state)} {number(sums[state])}
          </span>
        ))}
      </span>
    </div>
  );
}

interface ChangedProps {
  board: Board;
  cells: ChangedCell[];
  count: number;
  onGo: (cell: ChangedCell) => void;
}

function Changed({ board, cells, count, onGo }: ChangedProps) {
  const [all, setAll] = useState(false);
  if (count === 0) return <p class="lack">{t("ruleset.nothing_changes")}</p>;
  const shown = all ? cells : cells.slice(0, FIRST_ROWS);
  return (
    <>
      <h4>{t("ruleset.changes", { n: number(count) })}</h4>
      <ul class="changed">
        {shown.map((cell) => (
          <li key={cell.id}>
            <button type="button" class="row-pick" onClick={() => onGo(cell)}>
              {cell.name || nameByCode(board, cell.code) || cell.code}
            </button>
            <span>{t("ruleset.households_n", { n: number(cell.households) })}</span>
            <span class={`chip chip-${cell.becomes}`}>
              <span class="read-only">{t("ruleset.was", { state: word("band", cell.was) })} </span>
              {word("band", cell.becomes)}
              {cell.excess !== 0 && ` ${cell.excess > 0 ? "+" : "−"}${number(Math.abs(cell.excess))}`}
            </span>
          </li>
        ))}
      </ul>
      {cells.length > shown.length && (
        <button type="button" class="button-quiet" onClick={() => setAll(true)}>
          {t("ruleset.show_all", { n: cells.length })}
        </button>
      )}
    </>
  );
}

function Counts({ board, tier }: { board: Board; tier: TierPreview }) {
  const counts = tier.counts;
  if (!counts) return null;
  const none = counts.communities.filter(({ least }) => least === null);
  const off = counts.communities.filter(
    ({ least, most, now }) => least !== null && most !== null && (now < least || now > most),
  );
  return (
    <div class="counts">
      <p>
        {t("ruleset.would_need", { least: number(counts.least), most: number(counts.most), now: number(counts.now) })}
      </p>
      {(none.length > 0 || off.length > 0) && (
        <details class="more">
          <summary>{t("ruleset.communities_off", { n: none.length + off.length })}</summary>
          <ul class="communities-off">
            {[...none, ...off].map((row) => (
              <li key={row.id}>
                <strong>{named(board.communities.get(row.id) ?? row)}</strong>{" "}
                {row.least === null
                  ? t("ruleset.none_fits", { households: number(row.households), way: row.way ?? "" })
                  : t("ruleset.cells_off", {
                      households: number(row.households),
                      now: row.now,
                      least: row.least,
                      most: row.most ?? row.least,
                    })}
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

function Posts({ posts }: { posts: readonly PostNeed[] }) {
  const needed = posts.filter((post) => post.needed > 0 || post.most > 0 || post.places > 0);
  if (needed.length === 0) return null;
  return (
    <section class="tier">
      <h3>{t("ruleset.posts_needed")}</h3>
      <table class="post-table">
        <thead>
          <tr>
            <th scope="col">{t("ruleset.post")}</th>
            <th scope="col" class="numeric">
              {t("ruleset.needed")}
            </th>
            <th scope="col" class="numeric">
              {t("ruleset.held")}
            </th>
            <th scope="col" class="numeric">
              {t("ruleset.short")}
            </th>
          </tr>
        </thead>
        <tbody>
          {needed.map((post) => (
            <tr key={`${post.tier_zh}.${post.code}`}>
              <th scope="row">
                {named(post)}{" "}
                {post.most !== post.needed && (
                  <small>{t("ruleset.with_bounds", { least: number(post.least), most: number(post.most) })}</small>
                )}
              </th>
              <td class="numeric">{number(post.needed)}</td>
              <td class="numeric">{number(post.places)}</td>
              <td class={`numeric ${post.places < post.needed ? "short" : ""}`}>
                {post.places < post.needed ? number(post.needed - post.places) : "–"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface PreviewProps {
  board: Board;
  preview: Preview;
  onGo: (cell: ChangedCell, depth: number) => void;
}

export function PreviewView({ board, preview, onGo }: PreviewProps) {
  return (
    <div class="rules-preview" data-preview={preview.plan?.id ?? "in_force"}>
      {preview.unmatched.map((tier) => (
        <p key={tier.depth} class="fault fault-warning">
          <Icon name="warn" size={16} />
          <span>{t("ruleset.unmatched", { tier: named(tier), n: number(tier.cells) })}</span>
        </p>
      ))}
      {preview.tiers.map((tier) => (
        <section key={tier.depth} class="tier" data-tier={tier.depth}>
          <h3>
            {named(tier)} <small>{t("ruleset.cells_n", { n: number(tier.cells) })}</small>
          </h3>
          {tier.was && tier.becomes ? (
            <>
              <Bar label={t("ruleset.before")} sums={tier.was} cells={tier.cells} />
              <Bar label={t("ruleset.after")} sums={tier.becomes} cells={tier.cells} />
              <Changed
                board={board}
                cells={tier.changed}
                count={tier.changed_count}
                onGo={(cell) => onGo(cell, tier.depth)}
              />
            </>
          ) : (
            <p class="lack">{t("ruleset.drawn_anew")}</p>
          )}
          <Counts board={board} tier={tier} />
        </section>
      ))}
      <Posts posts={preview.posts} />
    </div>
  );
}
