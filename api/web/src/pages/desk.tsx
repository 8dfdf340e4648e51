/** The planner's desk: asks for its plan at once, and loads everything else meanwhile. */

import { askAhead } from "../desk/ahead";

askAhead();
void import("../desk/page");
