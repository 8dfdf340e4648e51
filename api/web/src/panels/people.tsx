import type { Person } from "../api/types";
import { named, t } from "../i18n";
import { Icon } from "./icons";

export const postOf = (person: Person): string =>
  named({ name_zh: person.post_name_zh, name_en: person.post_name_en }) || person.post;

/** Who is responsible, nearest post first, with a number to call. */
export function People({ people }: { people: Person[] }) {
  if (people.length === 0) return <p class="lack">{t("people.none")}</p>;
  return (
    <ul class="people">
      {people.map((person) => (
        <li key={`${person.post}-${person.staff_id}`}>
          <Icon name="user" size={18} />
          <span class="person-name">{person.name}</span>
          <span class="person-post">{postOf(person)}</span>
          {person.phone?.includes("*") && <span class="person-post">{person.phone}</span>}
          {person.phone && !person.phone.includes("*") && (
            <a class="person-phone" href={`tel:${person.phone}`}>
              <Icon name="phone" size={16} />
              <span class="read-only">{t("people.call", { name: person.name })} </span>
              {person.phone}
            </a>
          )}
        </li>
      ))}
    </ul>
  );
}
