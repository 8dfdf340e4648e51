/** The planner's desk: a plan's grids redrawn by hand, with its figures, its faults and everything else in view. */

import "../style/planner.css";
import "../style/desk.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Problem, post } from "../api/client";
import type { Box, Session } from "../api/types";
import { t, useLanguage } from "../i18n";
import { dropMapAhead, makeMapAhead } from "../map/map_ahead";
import { mount } from "../pages/mount";
import { Shell } from "../panels/shell";
import { Failed, Waiting } from "../panels/states";
import { addressedNumber } from "../state/address";
import { takeAhead } from "./ahead";
import { Desk } from "./desk";
import { Drafts } from "./drafts";
import type { Survey } from "./opening";
import { DeskState } from "./state";
import { SurveyState } from "./survey_state";

/** The desk while it opens: its map is there before what lies on it. */
function OpeningState({ extent }: { extent: Promise<Box | null> | null }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let isGone = false;
    void extent?.then((box) => {
      if (!isGone && place.current && box) makeMapAhead(place.current, box);
    });
    return () => {
      isGone = true;
    };
  }, [extent]);
  return (
    <div class="planner desk-page">
      <section class="side">
        <Waiting label={t("desk.opening")} />
      </section>
      <div class="map-place" ref={place} />
    </div>
  );
}

function Opening({ session }: { session: Session }) {
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
    if (plan === null) return;
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
  }, [plan, turn]);
  useEffect(() => {
    if (failure || survey) dropMapAhead();
  }, [failure, survey]);
  if (plan === null) return <Drafts session={session} />;
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
  if (desk) return <Desk desk={desk} />;
  if (survey) return <SurveyState plan={plan} survey={survey} />;
  return <OpeningState extent={ahead?.extent ?? null} />;
}

mount(() => <Shell page="planner">{(session) => <Opening session={session} />}</Shell>);
