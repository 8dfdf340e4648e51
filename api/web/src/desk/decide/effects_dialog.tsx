/** What a publication moves, whole and by name; and the publication itself, for whoever may. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get, type Problem, post } from "../../api/client";
import type { Plan } from "../../api/types";
import { named, number, percent, t } from "../../i18n";
import { Dialog } from "../../panels/dialog";
import { FieldRow } from "../../panels/field_row";
import { Icon } from "../../panels/icons";
import { Failed, Refused, Waiting } from "../../panels/states";
import type { DeskState } from "../state";
import { addressOf, when } from "./decision";
import type { CodeMove, Effects, MovedCase, MovedPost, PlanLog } from "./types";

interface Props {
  desk: DeskState;
  log: PlanLog;
  /** Whether it may be published from here. */
  acts: boolean;
  onClose: () => void;
  onDone: () => void;
}

const instant = (local: string): string | null => (local ? new Date(local).toISOString() : null);

function Figure(props: { label: string; value: number; of?: number; bad?: boolean }) {
  return (
    <div class={props.bad && props.value > 0 ? "effect-bad" : ""}>
      <dt>{props.label}</dt>
      <dd>
        {number(props.value)}
        {props.of !== undefined && <small> / {number(props.of)}</small>}
      </dd>
    </div>
  );
}

function Section(props: { title: string; count: number; open?: boolean; children: ComponentChildren }) {
  return (
    <details class="effect" open={props.open && props.count > 0}>
      <summary>
        {props.title}
        <span class="count">{number(props.count)}</span>
      </summary>
      {props.count === 0 ? <p class="lack">{t("decide.none")}</p> : <div class="effect-body">{props.children}</div>}
    </details>
  );
}

function Codes({ codes }: { codes: readonly CodeMove[] }) {
  return (
    <table class="effect-table">
      <thead>
        <tr>
          <th scope="col">{t("decide.old_code")}</th>
          <th scope="col">{t("decide.community")}</th>
          <th scope="col" class="numeric">
            {t("unit.households")}
          </th>
          <th scope="col">{t("decide.new_codes")}</th>
        </tr>
      </thead>
      <tbody>
        {codes.map((move) => (
          <tr key={move.code}>
            <th scope="row" class="code">
              {move.code}
            </th>
            <td>{move.community}</td>
            <td class="numeric">{number(move.households)}</td>
            <td>
              {move.to.length === 0 && <span class="effect-end">{t("decide.ends")}</span>}
              <ul class="effect-to">
                {move.to.map(({ code, share, keeps_code }) => (
                  <li key={code}>
                    <Icon name="into" size={13} />
                    <span class="code">{code}</span> {percent(share)}
                    {keeps_code && <em> {t("decide.keeps_code")}</em>}
                  </li>
                ))}
              </ul>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Posts({ posts, moves }: { posts: readonly MovedPost[]; moves?: boolean }) {
  return (
    <table class="effect-table">
      <thead>
        <tr>
          <th scope="col">{t("decide.post")}</th>
          <th scope="col">{t("decide.holder")}</th>
          <th scope="col">{t("decide.cell")}</th>
          {moves && <th scope="col">{t("decide.new_cell")}</th>}
        </tr>
      </thead>
      <tbody>
        {posts.map((post, row) => (
          <tr key={row}>
            <td>{named(post)}</td>
            <td>{post.holder ?? "–"}</td>
            <td class="code">{post.cell}</td>
            {moves && <td class="code">{post.to}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Cases({ cases }: { cases: readonly MovedCase[] }) {
  return (
    <table class="effect-table">
      <thead>
        <tr>
          <th scope="col">{t("decide.case")}</th>
          <th scope="col">{t("decide.cell")}</th>
          <th scope="col">{t("decide.new_cell")}</th>
        </tr>
      </thead>
      <tbody>
        {cases.map((one) => (
          <tr key={one.id}>
            <td>
              {one.title} {one.is_late && <span class="effect-end">{t("decide.late")}</span>}
              <br />
              <small class="code">{one.code}</small>
            </td>
            <td class="code">{one.from_cell ?? t("decide.no_cell")}</td>
            <td class="code">{one.to_cell ?? t("decide.no_cell")}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Shown({ effects }: { effects: Effects }) {
  const { lists } = effects;
  // A cell that keeps its code and gives nothing away is only redrawn.
  const isRedrawn = (move: CodeMove) => move.is_kept && move.to.length === 1;
  const codes = lists.codes.filter((move) => !isRedrawn(move));
  const redrawn = lists.codes.filter(isRedrawn);
  const renamed = lists.posts_moved.filter(({ cell, to }) => cell !== to);
  return (
    <section class="effects" aria-label={t("publish.preview")}>
      <p>
        {t("decide.from", { date: when(effects.effective_from) })}{" "}
        {effects.replaces.length > 0
          ? `${t("publish.replaces")}${effects.replaces.map(({ title }) => title).join("、")}`
          : t("publish.replaces_none")}
      </p>
      <dl class="effect-figures">
        <Figure label={t("publish.communities")} value={effects.communities} />
        <Figure label={t("publish.cells_kept")} value={effects.cells_kept} of={effects.cells} />
        <Figure label={t("decide.cells_same")} value={lists.cells_same} />
        <Figure label={t("publish.incidents")} value={lists.cases_moved} />
        <Figure label={t("decide.alerts")} value={lists.cases_late} bad />
        <Figure label={t("publish.posts")} value={effects.posts_moved} />
        <Figure label={t("publish.posts_lost")} value={effects.posts_lost} bad />
      </dl>
      <Section title={t("decide.codes")} count={codes.length} open>
        <Codes codes={codes} />
      </Section>
      <Section title={t("decide.redrawn")} count={redrawn.length}>
        <Codes codes={redrawn} />
      </Section>
      <Section title={t("decide.given")} count={lists.given.length}>
        <ul class="effect-codes">
          {lists.given.map(({ code, community, households }) => (
            <li key={code}>
              <span class="code">{code}</span> {community} · {number(households)} {t("unit.households")}
            </li>
          ))}
        </ul>
      </Section>
      <Section title={t("decide.posts_lost")} count={lists.posts_lost.length} open>
        <Posts posts={lists.posts_lost} />
      </Section>
      <Section title={t("decide.posts_open")} count={lists.posts_open.length}>
        <Posts posts={lists.posts_open} />
      </Section>
      <Section title={t("decide.posts_renamed")} count={renamed.length}>
        <Posts posts={renamed} moves />
      </Section>
      <Section title={t("decide.cases")} count={lists.cases.length}>
        <Cases cases={lists.cases} />
      </Section>
      {lists.irregular.length > 0 && (
        <p class="effect-all">
          {t("decide.irregular", { n: lists.irregular.length, codes: lists.irregular.slice(0, 5).join("、") })}
        </p>
      )}
      <p class="field-hint">{t("decide.never_again")}</p>
    </section>
  );
}

export function EffectsDialog({ desk, log, acts, onClose, onDone }: Props) {
  const [from, setFrom] = useState("");
  const [document_no, setDocument] = useState(log.document_no ?? "");
  const [effects, setEffects] = useState<Effects | null>(null);
  const [failure, setFailure] = useState<Problem | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setEffects(null);
    setFailure(null);
    get<Effects>(addressOf(desk, "effects"), { effective_from: instant(from) }, stop.signal).then(
      setEffects,
      (reason) => !stop.signal.aborted && setFailure(reason),
    );
    return () => stop.abort();
  }, [from, turn]);
  const publish = async (event: Event) => {
    event.preventDefault();
    if (!effects) return;
    setBusy(true);
    setProblem(null);
    try {
      await post<Plan>(addressOf(desk, "publish"), {
        commit: true,
        document_no,
        ...(from ? { effective_from: instant(from) } : {}),
        replaces: effects.replaces.map(({ plan_id }) => plan_id),
      });
      onDone();
    } catch (reason) {
      setProblem(reason as Problem);
      setBusy(false);
      setTurn(turn + 1);
    }
  };
  const foot = (
    <>
      <button type="button" class="button" onClick={onClose}>
        {t(acts ? "act.cancel" : "act.close")}
      </button>
      {acts && (
        <button type="submit" form="effects-form" class="button button-main" disabled={busy || !effects}>
          <Icon name="publish" />
          {t("publish.commit")}
        </button>
      )}
    </>
  );
  return (
    <Dialog
      title={acts ? t("publish.title", { plan: desk.plan.title }) : t("decide.effects")}
      onClose={onClose}
      foot={foot}
    >
      <form id="effects-form" class="form" onSubmit={publish}>
        <div class="form-pair">
          <FieldRow label={t("publish.from")} hint={t("publish.from_hint")}>
            <input type="datetime-local" value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
          </FieldRow>
          {acts && (
            <FieldRow label={t("publish.document")} hint={t("publish.document_hint")}>
              <input
                type="text"
                required
                maxLength={200}
                value={document_no}
                onInput={(event) => setDocument(event.currentTarget.value)}
              />
            </FieldRow>
          )}
        </div>
        {acts && log.may.includes("submit") && <p class="effect-all">{t("decide.all_at_once")}</p>}
        <Refused problem={problem} />
        {effects ? (
          <Shown effects={effects} />
        ) : failure ? (
          <Failed problem={failure} again={() => setTurn(turn + 1)} />
        ) : (
          <Waiting label={t("decide.trying")} />
        )}
      </form>
    </Dialog>
  );
}
