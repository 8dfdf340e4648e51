/** Names of the communities in both languages, by id: rows carry the Chinese one only. */

import { useEffect } from "preact/hooks";
import { all } from "../api/client";
import type { Area, Id, Place } from "../api/types";
import { named } from "../i18n";
import { useValue, Value } from "./value";

export type Community = Area & { label?: Place };

const known = new Value<ReadonlyMap<Id, Community>>(new Map());

let isAsked = false;

/** The communities in the person's areas; asked for once a page. What waits for them is drawn again when they come. */
export function useCommunities(): ReadonlyMap<Id, Community> {
  useEffect(() => {
    if (isAsked) return;
    isAsked = true;
    all<Community>("/api/v1/areas", { level: "community", geometry: false }).then(
      ({ rows }) => known.set(new Map(rows.map((row) => [row.id, row]))),
      () => {
        isAsked = false; // without them the Chinese names stand
      },
    );
  }, []);
  return useValue(known);
}

/** The name of a community in the language of the page. */
export const communityName = (id: Id | null | undefined, chinese: string | null | undefined): string =>
  named((id && known.value.get(id)) || { name: chinese });
