import { switchLanguage, useLanguage } from "../i18n";
import { Icon } from "./icons";

/** Names each language in itself, so that whoever needs the switch can read it. */
export function LanguageSwitch() {
  const language = useLanguage();
  const other = language === "zh" ? "en" : "zh";
  return (
    <button
      type="button"
      aria-label={other === "zh" ? "中文" : "English"}
      class="button-quiet"
      lang={other === "zh" ? "zh-CN" : "en"}
      onClick={() => switchLanguage(other)}
    >
      <Icon name="language" />
      <span class="language-name">{other === "zh" ? "中文" : "English"}</span>
    </button>
  );
}
