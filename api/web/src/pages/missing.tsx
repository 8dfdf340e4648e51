/** What stands at an address that has no page. */

import "../style/login.css";
import { useEffect } from "preact/hooks";
import { t, useLanguage } from "../i18n";
import { Icon } from "../panels/icons";
import { LanguageSwitch } from "../panels/language_switch";
import mark from "../style/wangge.svg?url";
import { mount } from "./mount";

function Missing() {
  const language = useLanguage();
  useEffect(() => {
    document.title = `${t("missing.title")} · ${t("brand")}`;
  }, [language]);
  return (
    <main class="login">
      <section class="login-box">
        <header>
          <img src={mark} alt="" width="64" height="64" />
          <h1 class="missing-title">{t("missing.title")}</h1>
        </header>
        <p>{t("missing.why")}</p>
        <a class="button button-main" href="/">
          <Icon name="back" size={18} />
          {t("missing.home")}
        </a>
      </section>
      <footer class="login-foot">
        <LanguageSwitch />
      </footer>
    </main>
  );
}

mount(Missing);
