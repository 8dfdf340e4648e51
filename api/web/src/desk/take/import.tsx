/** Bringing a division: the button, one's own imports, and the dialog that shows one of them or asks for a file. */

import "../../style/take.css";
import { useState } from "preact/hooks";
import type { Id } from "../../api/types";
import { t } from "../../i18n";
import { Icon } from "../../panels/icons";
import { ImportDialog, type Place } from "./import_dialog";
import { ImportList } from "./import_progress";
import { useImports } from "./imports";

export function Import({ places }: { places: readonly Place[] }) {
  const [shown, setShown] = useState<{ run: Id | null } | null>(null);
  useImports();
  return (
    <>
      <p class="take-note">{t("take.import_note")}</p>
      <button type="button" class="button" onClick={() => setShown({ run: null })}>
        <Icon name="into" />
        {t("take.import_open")}
      </button>
      <ImportList onLook={(run) => setShown({ run: run.id })} />
      {shown && <ImportDialog places={places} first={shown.run} onClose={() => setShown(null)} />}
    </>
  );
}
