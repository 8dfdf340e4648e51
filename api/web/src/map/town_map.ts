/** A map of the town: base map, and ways to look at a place. What is drawn on it is put there by its siblings. */

import "maplibre-gl/dist/maplibre-gl.css";
import {
  type GeoJSONSource,
  Map as MapLibre,
  type MapOptions,
  NavigationControl,
  ScaleControl,
  type StyleSpecification,
  setWorkerUrl,
} from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?url";
import type { Box, Place } from "../api/types";
import { t } from "../i18n";
import { address, addressed } from "../state/address";
import { bareStyle, baseStyle } from "./base_style";
import { askAgain } from "./coming_back";
import { addPictures } from "./pictures";

setWorkerUrl(workerUrl);

const WHOLE_COUNTRY: Box = [73, 18, 135, 54];
const PADDING = 48;
/** What a card covers at the right of a wide map. */
const CARD_PX = 430;
const WIDE_PX = 900;

export type TownMap = MapLibre;

export const EMPTY: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };

/** The view that the address bar asks for: `at=lon,lat,zoom`. */
function addressedView(): { center: Place; zoom: number } | null {
  const [lon, lat, zoom] = (addressed("at") ?? "").split(",").map(Number);
  return [lon, lat, zoom].every(Number.isFinite) && Math.abs(lat) < 85 ? { center: [lon, lat], zoom } : null;
}

function words(): Record<string, string> {
  return {
    "Map.Title": t("map.title"),
    "NavigationControl.ZoomIn": t("map.zoom_in"),
    "NavigationControl.ZoomOut": t("map.zoom_out"),
    "ScaleControl.Meters": "m",
    "ScaleControl.Kilometers": "km",
    "AttributionControl.ToggleAttribution": t("map.sources"),
  };
}

/** A map, and when layers may be added to it. */
interface Made {
  map: TownMap;
  loaded: Promise<unknown>;
}

function newMap(container: HTMLElement, style: StyleSpecification, options: Partial<MapOptions>): Made {
  const map = new MapLibre({
    container,
    style,
    locale: words(),
    localIdeographFontFamily: "Noto Sans CJK SC, PingFang SC, Microsoft YaHei, sans-serif",
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    maxZoom: 19.5,
    minZoom: 4,
    attributionControl: { compact: true },
    fadeDuration: 150,
    ...options,
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new ScaleControl({ maxWidth: 120 }), "bottom-left");
  askAgain(map);
  container.dataset.map = "busy";
  map.on("dataloading", () => {
    container.dataset.map = "busy";
  });
  map.on("movestart", () => {
    container.dataset.map = "busy";
  });
  map.on("idle", () => {
    container.dataset.map = "idle";
  });
  return { map, loaded: map.once("style.load").then(() => addPictures(map)) };
}

/** From now on the address bar follows what is another view. */
function follow(map: TownMap): void {
  const view = () => {
    const { lng, lat } = map.getCenter();
    return `${lng.toFixed(5)},${lat.toFixed(5)},${map.getZoom().toFixed(2)}`;
  };
  let at = view();
  map.on("moveend", () => {
    if (view() === at) return;
    at = view();
    address({ at });
  });
}

const FIT = { padding: 24 };

/**
 * Make a map in `container`, north up, ready when the promise resolves.
 *
 * `data-map` at its element says `busy` or `idle` (everything asked for is drawn), for whoever waits for the picture.
 */
export async function makeMap(container: HTMLElement, extent: Box | null): Promise<TownMap> {
  const view = addressedView() ?? { bounds: extent ?? WHOLE_COUNTRY, fitBoundsOptions: FIT };
  const { map, loaded } = newMap(container, baseStyle(location.origin), view);
  follow(map);
  await loaded;
  return map;
}

/**
 * The same with nothing but paper until `showBase`, so that what others draw is seen first; `lookAt` tells it where.
 *
 * Names do not fade in: each step would draw the whole map again.
 */
export async function makeBareMap(container: HTMLElement): Promise<TownMap> {
  container.dataset.cells = "none";
  const { map, loaded } = newMap(container, bareStyle(), { fadeDuration: 0 });
  await loaded;
  return map;
}

/** Show a place on a bare map, unless the address bar asks for a view. */
export function lookAt(map: TownMap, extent: Box | null): void {
  const view = addressedView();
  if (view) map.jumpTo(view);
  else map.fitBounds(extent ?? WHOLE_COUNTRY, { ...FIT, animate: false });
  follow(map);
}

/** Show the base map of a bare one, its layers between those that others have put there. */
export function showBase(map: TownMap): void {
  const { sources, layers } = baseStyle(location.origin);
  for (const [id, source] of Object.entries(sources)) map.addSource(id, source);
  const above = (id: string): string | undefined => {
    const order = map.getLayersOrder();
    return order[order.indexOf(id) + 1];
  };
  const [paper, ...others] = layers;
  let last = paper.id;
  for (const layer of others) {
    const isMarked = map.getLayer(layer.id) !== undefined;
    const before = above(isMarked ? layer.id : last);
    if (isMarked) map.removeLayer(layer.id);
    map.addLayer(layer, before);
    last = layer.id;
  }
}

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** What a card at the foot of a narrow map covers; nothing of a wide one. */
export const coveredBelow = (map: TownMap) => {
  const { clientWidth, clientHeight } = map.getContainer();
  return clientWidth > WIDE_PX ? 0 : clientHeight / 2;
};

const covered = (map: TownMap) => (map.getContainer().clientWidth > WIDE_PX ? CARD_PX : 0);

/** `below`: pixels that a card covers at the foot of a narrow map. */
export function goToBox(map: TownMap, box: Box, maxZoom = 17, below = 0): void {
  const padding = { top: PADDING, bottom: PADDING + below, left: PADDING, right: PADDING + covered(map) };
  map.fitBounds(box, { padding, maxZoom, animate: !still(), duration: 700 });
}

export function goToPlace(map: TownMap, place: Place, zoom = 16.5, below = 0): void {
  map.flyTo({
    offset: [-covered(map) / 2, -below / 2],
    center: place,
    zoom: Math.max(zoom, map.getZoom()),
    animate: !still(),
    duration: 700,
  });
}

export function setData(map: TownMap, source: string, data: GeoJSON.FeatureCollection): void {
  (map.getSource(source) as GeoJSONSource | undefined)?.setData(data);
}
