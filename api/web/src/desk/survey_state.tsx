/** What stands where the desk will be while the ground of its plan is surveyed. */

import "../style/survey.css";
import { useEffect } from "preact/hooks";
import type { Id } from "../api/types";
import { t, useLanguage, word } from "../i18n";
import { Icon } from "../panels/icons";
import { Steps } from "../panels/steps";
import type { Survey } from "./opening";

const STEPS = ["queued", "reading", "surveying", "storing"] as const;
type Step = (typeof STEPS)[number];

const stepOf = ({ state, step }: Survey): Step => (state === "queued" || step === null ? "queued" : step);
const countOf = ({ done, total }: Survey, step: Step) =>
  step === "surveying" && total > 0 ? t("survey.communities", { done, total }) : undefined;
const percentOf = ({ share }: Survey) => Math.floor(100 * share);

/** How far the survey is, so that the page can be left and come back to. */
export function SurveyState({ plan, survey }: { plan: Id; survey: Survey }) {
  useLanguage();
  const percent = percentOf(survey);
  useEffect(() => {
    document.title = t("survey.page", { percent });
    return () => {
      document.title = `${t("desk.title")} · ${t("brand")}`;
    };
  }, [percent]);
  return (
    <section class="survey" aria-labelledby="survey-title" data-survey={survey.state} data-share={survey.share}>
      <h1 id="survey-title">{t("survey.title")}</h1>
      <p>{t("survey.why")}</p>
      <div class="survey-bar">
        <progress
          max={1}
          value={survey.state === "running" ? survey.share : undefined}
          aria-label={t("survey.title")}
        />
        <span class="survey-percent" aria-hidden="true">
          {percent}%
        </span>
      </div>
      <p class="read-only" role="status">
        {word("survey_step", stepOf(survey))}
      </p>
      <Steps
        at={STEPS.indexOf(stepOf(survey))}
        steps={STEPS.map((step) => ({ key: step, label: word("survey_step", step), count: countOf(survey, step) }))}
      />
      <p class="survey-left">
        {survey.seconds_left === null ? t("survey.unknown") : t("survey.left", { n: survey.seconds_left })}
      </p>
      <p class="survey-note">{t("survey.leave")}</p>
      <div class="survey-ways">
        <a class="button" href={`/planner?plan=${plan}`}>
          <Icon name="back" size={18} />
          {t("survey.back")}
        </a>
      </div>
    </section>
  );
}
