/** Shapes of the API by which a plan is decided on. */

import type { Id, PlanState, PublishPreview } from "../../api/types";

export type StepKind =
  | "submit"
  | "recall"
  | "review"
  | "return"
  | "approve"
  | "file"
  | "publish"
  | "withdraw"
  | "discard";

export interface LogItem {
  seq: number;
  kind: StepKind | "create" | "store";
  at: string;
  actor: string;
  is_own: boolean;
  document_no: string | null;
  note: string | null;
}

export interface PlanLog {
  plan_id: Id;
  status: string;
  state: PlanState;
  revision: number;
  document_no: string | null;
  effective_from: string | null;
  superseded: { at: string; plan_id: Id | null; title: string | null } | null;
  comments_open: number;
  may: (StepKind | "comment")[];
  items: LogItem[];
}

interface Said {
  id: Id;
  text: string;
  at: string;
  actor: string;
  is_own: boolean;
}

/** A remark at a place, with its answers. */
export interface Thread extends Said {
  lon: number;
  lat: number;
  cell_id: Id | null;
  cell_code: string | null;
  resolved_at: string | null;
  resolved_by: string | null;
  answers: Said[];
}

export interface CodeMove {
  depth: number;
  community: string;
  code: string;
  households: number;
  is_kept: boolean;
  to: { code: string; share: number; keeps_code: boolean }[];
}

export interface MovedPost {
  code: string;
  name_zh: string;
  name_en: string | null;
  cell: string;
  to: string | null;
  holder: string | null;
}

export interface MovedCase {
  id: Id;
  code: string;
  title: string;
  status: string;
  is_late: boolean;
  from_cell: string | null;
  to_cell: string | null;
}

export interface Effects extends PublishPreview {
  lists: {
    codes: CodeMove[];
    cells_same: number;
    given: { depth: number; community: string; code: string; households: number }[];
    posts_moved: MovedPost[];
    posts_lost: MovedPost[];
    posts_open: MovedPost[];
    cases: MovedCase[];
    cases_moved: number;
    cases_late: number;
    irregular: string[];
  };
}
