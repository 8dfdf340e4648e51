/** Incidents on the map: a pin with the sign of its state, near ones gathered when seen from far. */

import type { GeoJSONSource } from "maplibre-gl";
import type { Id, IncidentFeature, Place } from "../api/types";
import { FONT_BOLD } from "./base_style";
import { CHOSEN, INK, STATUS } from "./colours";
import { EMPTY, setData, type TownMap } from "./town_map";

const SOURCE = "incident-points";
const GATHER_BELOW_ZOOM = 14;

export function addIncidents(map: TownMap): void {
  map.addSource(SOURCE, {
    type: "geojson",
    data: EMPTY,
    cluster: true,
    clusterRadius: 36,
    clusterMaxZoom: GATHER_BELOW_ZOOM - 1,
    clusterProperties: { waiting: ["+", ["case", ["==", ["get", "status"], "reported"], 1, 0]] },
  });
  map.addSource("incident-chosen", { type: "geojson", data: EMPTY });
  map.addLayer({
    id: "incident-halo",
    type: "circle",
    source: "incident-chosen",
    paint: {
      "circle-radius": 20,
      "circle-color": CHOSEN,
      "circle-opacity": 0.2,
      "circle-stroke-color": CHOSEN,
      "circle-stroke-width": 2.5,
    },
  });
  map.addLayer({
    id: "incident-cluster",
    type: "circle",
    source: SOURCE,
    filter: ["has", "point_count"],
    paint: {
      "circle-radius": ["interpolate", ["linear"], ["get", "point_count"], 2, 13, 20, 18, 200, 26],
      "circle-color": "#ffffff",
      "circle-opacity": 0.92,
      "circle-stroke-width": 3,
      "circle-stroke-color": ["case", [">", ["get", "waiting"], 0], STATUS.reported.colour, INK],
    },
  });
  map.addLayer({
    id: "incident-cluster-count",
    type: "symbol",
    source: SOURCE,
    filter: ["has", "point_count"],
    layout: {
      "text-field": ["get", "point_count_abbreviated"],
      "text-font": FONT_BOLD,
      "text-size": 13,
      "text-allow-overlap": true,
    },
    paint: { "text-color": INK },
  });
  map.addLayer({
    id: "incident-pin",
    type: "symbol",
    source: SOURCE,
    filter: ["!", ["has", "point_count"]],
    layout: {
      "icon-image": ["coalesce", ["image", ["concat", "pin-", ["get", "status"]]], ["image", "pin-unknown"]],
      "icon-anchor": "bottom",
      "icon-allow-overlap": true,
      "icon-size": ["interpolate", ["linear"], ["zoom"], 11, 0.75, 15, 1],
      "symbol-sort-key": ["case", ["==", ["get", "status"], "reported"], 1, 0],
    },
  });
}

export function showIncidents(map: TownMap, features: IncidentFeature[]): void {
  setData(map, SOURCE, { type: "FeatureCollection", features });
}

export function chooseIncident(map: TownMap, feature: IncidentFeature | null): void {
  setData(map, "incident-chosen", { type: "FeatureCollection", features: feature ? [feature] : [] });
}

/** Call back with the incident that is clicked; a click on a cluster opens it. */
export function onIncident(map: TownMap, pick: (id: Id) => void): void {
  map.on("click", "incident-pin", (event) => {
    const id = event.features?.[0]?.properties.id;
    if (id !== undefined) pick(Number(id));
  });
  map.on("click", "incident-cluster", async (event) => {
    const cluster = event.features?.[0];
    if (!cluster) return;
    const zoom = await (map.getSource(SOURCE) as GeoJSONSource).getClusterExpansionZoom(cluster.properties.cluster_id);
    map.easeTo({ center: (cluster.geometry as GeoJSON.Point).coordinates as Place, zoom: zoom + 0.3 });
  });
  for (const layer of ["incident-pin", "incident-cluster"]) {
    map.on("mouseenter", layer, () => {
      map.getCanvas().style.cursor = "pointer";
    });
    map.on("mouseleave", layer, () => {
      map.getCanvas().style.cursor = "";
    });
  }
}
