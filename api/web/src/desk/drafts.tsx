/** The desk without a plan: the drafts that one may go on with, and a new one from the plan in force. */

import { useState } from "preact/hooks";
import { all } from "../api/client";
import type { Area, Plan, Session } from "../api/types";
import { day, named, t, useLanguage, word } from "../i18n";
import { DraftDialog } from "../panels/draft_dialog";
import { Icon } from "../panels/icons";
import { Shown } from "../panels/shown";
import { Empty } from "../panels/states";
import { upperAreas, usualArea } from "../state/areas";
import { useLoad } from "../state/load";
import { Import } from "./take/import";

/** As the page lists them: what can be edited, what is being decided, what governs or will. */
const GROUPS = {
  draft: ["draft"],
  deciding: ["submitted", "reviewed", "approved"],
  standing: ["in_force", "future"],
} as const;

const isMade = ({ run }: Plan) => run === null || run.state === "done";

interface LineProps {
  plan: Plan;
  onDraft: ((plan: Plan) => void) | null;
}

function Line({ plan, onDraft }: LineProps) {
  const title = plan.title || `#${plan.id}`;
  return (
    <li class="draft-line">
      <div>
        {isMade(plan) ? <a href={`/desk?plan=${plan.id}`}>{title}</a> : <strong>{title}</strong>}
        <p class="lack">
          {[named(plan.area), plan.created_at && day(plan.created_at)].filter(Boolean).join(" · ")}
          {!isMade(plan) && ` · ${t("desk.not_made")}`}
        </p>
      </div>
      <span class={`chip chip-plan-${plan.state}`}>{word("plan_state", plan.state)}</span>
      {onDraft && isMade(plan) && (
        <button type="button" class="button" onClick={() => onDraft(plan)}>
          <Icon name="plus" size={18} />
          {t("desk.draft_from")}
        </button>
      )}
    </li>
  );
}

function Lists({ plans, session }: { plans: Plan[]; session: Session }) {
  const [from, setFrom] = useState<Plan | null>(null);
  const mayDraw = session.permissions.includes("draw_plan");
  const lists = Object.entries(GROUPS).map(([name, states]) => ({
    name,
    found: plans.filter(({ state }) => (states as readonly string[]).includes(state)),
  }));
  if (lists.every(({ found }) => found.length === 0)) return <Empty icon="grid">{t("desk.no_plans")}</Empty>;
  return (
    <>
      {lists.map(({ name, found }) => (
        <section key={name} aria-labelledby={`drafts-${name}`}>
          <h2 id={`drafts-${name}`}>{word("desk_drafts", name)}</h2>
          {found.length > 0 ? (
            <ul class="draft-lines">
              {found.map((plan) => (
                <Line key={plan.id} plan={plan} onDraft={mayDraw && name === "standing" ? setFrom : null} />
              ))}
            </ul>
          ) : (
            <p class="lack">{word("desk_drafts_none", name)}</p>
          )}
        </section>
      ))}
      {from && <DraftDialog plan={from} onClose={() => setFrom(null)} />}
    </>
  );
}

/** Bringing an existing division, for the area whose communities it divides. */
function Bring() {
  const areas = useLoad(() => all<Area>("/api/v1/areas", { geometry: false }), []);
  return (
    <section aria-labelledby="drafts-import">
      <h2 id="drafts-import">{t("take.import")}</h2>
      <Shown loading={areas}>
        {({ rows }) => {
          const tops = upperAreas(rows);
          const usual = usualArea(rows, tops);
          if (usual === null) return <p class="lack">{t("take.no_areas")}</p>;
          const sorted = [...tops].sort((a, b) => Number(b.id === usual) - Number(a.id === usual));
          return <Import places={sorted.map((area) => ({ id: area.id, name: named(area) }))} />;
        }}
      </Shown>
    </section>
  );
}

export function Drafts({ session }: { session: Session }) {
  const language = useLanguage();
  const plans = useLoad(() => all<Plan>("/api/v1/plans"), [language]);
  return (
    <div class="drafts">
      <h1>{t("desk.title")}</h1>
      <p>{t("desk.choose_plan")}</p>
      <Shown loading={plans}>{({ rows }) => <Lists plans={rows} session={session} />}</Shown>
      {session.permissions.includes("draw_plan") && <Bring />}
    </div>
  );
}
