/**
 * The panels beside the desk's map. A panel of your own is one line here, its component (`{desk}` is all it is given)
 * and the word `desk_tab.<key>` in both languages.
 */

import type { ComponentType } from "preact";
import type { IconName } from "../panels/icons";
import { CellsPanel } from "./cells/cells_panel";
import { ChecksPanel } from "./checks/checks_panel";
import { ComparePanel } from "./compare/compare_panel";
import { DecidePanel } from "./decide/decide_panel";
import { HistoryPanel } from "./history/history_panel";
import { ProposePanel } from "./propose/propose_panel";
import { RulesPanel } from "./rules/rules_panel";
import type { DeskState } from "./state";
import { TakePanel } from "./take/take_panel";

export interface DeskTab {
  key: string;
  icon: IconName;
  Panel: ComponentType<{ desk: DeskState }>;
}

export const TABS: readonly DeskTab[] = [
  { key: "cells", icon: "list", Panel: CellsPanel },
  { key: "checks", icon: "warn", Panel: ChecksPanel },
  { key: "propose", icon: "play", Panel: ProposePanel },
  { key: "compare", icon: "split", Panel: ComparePanel },
  { key: "decide", icon: "check", Panel: DecidePanel },
  { key: "take", icon: "download", Panel: TakePanel },
  { key: "rules", icon: "report", Panel: RulesPanel },
  { key: "history", icon: "clock", Panel: HistoryPanel },
];
