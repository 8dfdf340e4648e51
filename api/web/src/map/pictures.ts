/** Pins and patterns, drawn on canvases at start: no sprite file to fetch. */

import type { Map as MapLibre } from "maplibre-gl";
import { STATUS, statusLook } from "./colours";

const RATIO = 2;

function canvas(width: number, height: number): CanvasRenderingContext2D {
  const element = document.createElement("canvas");
  element.width = width * RATIO;
  element.height = height * RATIO;
  const pen = element.getContext("2d", { willReadFrequently: true })!;
  pen.scale(RATIO, RATIO);
  return pen;
}

const image = (pen: CanvasRenderingContext2D) => pen.getImageData(0, 0, pen.canvas.width, pen.canvas.height);

function pin(status: string): ImageData {
  const { colour, sign } = statusLook(status);
  const pen = canvas(30, 38);
  pen.beginPath();
  pen.arc(15, 15, 12, Math.PI * 0.8, Math.PI * 0.2);
  pen.lineTo(15, 36);
  pen.closePath();
  pen.fillStyle = colour;
  pen.fill();
  pen.lineWidth = 2;
  pen.strokeStyle = "#ffffff";
  pen.stroke();
  pen.fillStyle = "#ffffff";
  pen.font = "bold 16px sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(sign, 15, 15.5);
  return image(pen);
}

/** Dots say "too few", strokes say "too many". */
function dots(): ImageData {
  const pen = canvas(12, 12);
  pen.fillStyle = "rgba(28, 58, 104, 0.6)";
  for (const [x, y] of [
    [3, 3],
    [9, 9],
  ]) {
    pen.beginPath();
    pen.arc(x, y, 1.3, 0, 2 * Math.PI);
    pen.fill();
  }
  return image(pen);
}

function strokes(): ImageData {
  const pen = canvas(10, 10);
  pen.strokeStyle = "rgba(122, 38, 14, 0.7)";
  pen.lineWidth = 1.6;
  pen.beginPath();
  for (const shift of [-10, 0, 10]) {
    pen.moveTo(shift - 2, 12);
    pen.lineTo(shift + 12, -2);
  }
  pen.stroke();
  return image(pen);
}

export function addPictures(map: MapLibre): void {
  const pictures: Record<string, ImageData> = { "pattern-under": dots(), "pattern-over": strokes() };
  for (const status of [...Object.keys(STATUS), "unknown"]) pictures[`pin-${status}`] = pin(status);
  for (const [name, picture] of Object.entries(pictures)) {
    if (!map.hasImage(name)) map.addImage(name, picture, { pixelRatio: RATIO });
  }
}
