import type { Building, Id, Place } from "../api/types";
import { number, t, word } from "../i18n";
import { bearing, direction, metres } from "../map/ground";
import { Icon } from "./icons";
import { Empty } from "./states";

interface Props {
  buildings: readonly Building[];
  from: Place | null;
  chosen: Id | null;
  onPick: (building: Building) => void;
}

const titleOf = ({ compound_name, name, address, code }: Building): string =>
  [compound_name, name].filter(Boolean).join(" ") || address || code;

const lengthOf = (distance: number) =>
  distance < 1000 ? `${number(Math.round(distance / 5) * 5)} m` : `${number(distance / 1000, 1)} km`;

/** The own buildings, nearest first, each with the way to it. */
export function BuildingList({ buildings, from, chosen, onPick }: Props) {
  if (buildings.length === 0) return <Empty icon="building">{t("buildings.none")}</Empty>;
  const rows = buildings
    .map((building) => {
      const place: Place = [building.lon, building.lat];
      return { building, away: from ? metres(from, place) : 0, towards: from ? bearing(from, place) : 0 };
    })
    .sort((a, b) => a.away - b.away);
  return (
    <ul class="building-list" aria-label={t("buildings.list")}>
      {rows.map(({ building, away, towards }) => (
        <li key={building.id} data-building={building.id}>
          <button type="button" aria-pressed={building.id === chosen} onClick={() => onPick(building)}>
            <span class="building-name">{titleOf(building)}</span>
            <span class="building-facts">
              {[
                building.households
                  ? t("buildings.households", { n: building.households })
                  : word("building_use", building.use),
                building.floors ? t("buildings.floors", { n: building.floors }) : null,
                building.name ? null : building.address,
              ]
                .filter(Boolean)
                .join(" · ")}
            </span>
            {from && (
              <span class="building-way">
                <Icon name="arrow" turn={Math.round(towards)} size={24} />
                <strong>{lengthOf(away)}</strong>
                <span>{word("direction", direction(towards))}</span>
              </span>
            )}
          </button>
        </li>
      ))}
    </ul>
  );
}
