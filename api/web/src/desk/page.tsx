/** The planner's desk: a plan's grids redrawn by hand, with its figures, its faults and everything else in view. */

import "../style/planner.css";
import "../style/desk.css";
import { useEffect, useState } from "preact/hooks";
import { type Problem, post } from "../api/client";
import type { Session } from "../api/types";
import { t, useLanguage } from "../i18n";
import { mount } from "../pages/mount";
import { Shell } from "../panels/shell";
import { Failed } from "../panels/states";
import { addressedNumber } from "../state/address";
import { takeAhead } from "./ahead";
import { Desk, readAddress } from "./desk";
import { Drafts } from "./drafts";
import type { Survey } from "./opening";
import { DeskState } from "./state";
import { SurveyState } from "./survey_state";

/** The desk's frame stands, and its map is made, before it is known who is there. */
function Opening({ session }: { session: Session | null }) {
  const language = useLanguage();
  const plan = addressedNumber("plan");
  const [desk, setDesk] = useState<DeskState | null>(null);
  const [failure, setFailure] = useState<Problem | null>(null);
  const [survey, setSurvey] = useState<Survey | null>(null);
  const [turn, setTurn] = useState(0);
  const [ahead] = useState(() => (plan === null ? null : takeAhead(plan)));
  useEffect(() => {
    document.title = `${t("desk.title")} · ${t("brand")}`;
  }, [language]);
  useEffect(() => {
    if (plan === null || session === null) return;
    const stop = new AbortController();
    let opened: DeskState | null = null;
    setFailure(null);
    const begun = turn === 0 ? ahead : null;
    setSurvey(begun?.survey.value ?? null);
    const forget = begun?.survey.listen(setSurvey);
    DeskState.open(session, plan, stop.signal, setSurvey, begun?.opened).then(
      (made) => {
        if (stop.signal.aborted) return;
        opened = made;
        readAddress(made);
        made.begin();
        setDesk(made);
      },
      (reason) => !stop.signal.aborted && setFailure(reason),
    );
    return () => {
      stop.abort();
      forget?.();
      opened?.close();
    };
  }, [plan, turn, session]);
  if (plan === null) return session && <Drafts session={session} />;
  const again = () => {
    const asked = failure?.body.survey ? post(`/api/v1/plans/${plan}/survey`) : Promise.resolve();
    asked.then(() => setTurn(turn + 1), setFailure);
  };
  if (failure) {
    return (
      <div class="drafts">
        <Failed problem={failure} again={again} />
        <a href="/desk">{t("desk.all_plans")}</a>
      </div>
    );
  }
  return survey && !desk ? <SurveyState plan={plan} survey={survey} /> : <Desk desk={desk} />;
}

mount(() => (
  <Shell page="planner" meanwhile={addressedNumber("plan") !== null && <Opening session={null} />}>
    {(session) => <Opening session={session} />}
  </Shell>
));
