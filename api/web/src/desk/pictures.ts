/** Pictures of the desk's own, drawn on canvases: the hatching of dedicated grids, a lock, a question mark. */

import type { TownMap } from "../map/town_map";

const RATIO = 2;

function pen(side: number): CanvasRenderingContext2D {
  const element = document.createElement("canvas");
  element.width = side * RATIO;
  element.height = side * RATIO;
  const made = element.getContext("2d", { willReadFrequently: true })!;
  made.scale(RATIO, RATIO);
  return made;
}

function hatching(): CanvasRenderingContext2D {
  const made = pen(14);
  made.strokeStyle = "rgba(40, 60, 50, 0.55)";
  made.lineWidth = 1.2;
  made.beginPath();
  made.moveTo(0, 7);
  made.lineTo(14, 7);
  made.moveTo(7, 0);
  made.lineTo(7, 14);
  made.stroke();
  return made;
}

function disc(): CanvasRenderingContext2D {
  const made = pen(18);
  made.fillStyle = "#ffffff";
  made.beginPath();
  made.arc(9, 9, 9, 0, 2 * Math.PI);
  made.fill();
  return made;
}

/** A building that lies in no cell. */
function question(): CanvasRenderingContext2D {
  const made = disc();
  made.strokeStyle = "#c2321f";
  made.fillStyle = "#c2321f";
  made.lineWidth = 1.6;
  made.beginPath();
  made.arc(9, 9, 8, 0, 2 * Math.PI);
  made.stroke();
  made.font = "bold 13px sans-serif";
  made.textAlign = "center";
  made.textBaseline = "middle";
  made.fillText("?", 9, 9.5);
  return made;
}

function lock(): CanvasRenderingContext2D {
  const made = disc();
  made.strokeStyle = "#1c2b39";
  made.fillStyle = "#1c2b39";
  made.lineWidth = 1.6;
  made.fillRect(5, 8, 8, 6);
  made.beginPath();
  made.arc(9, 8, 2.6, Math.PI, 2 * Math.PI);
  made.stroke();
  return made;
}

export function addDeskPictures(map: TownMap): void {
  const pictures = { "pattern-dedicated": hatching, "desk-lock": lock, "desk-unplaced": question };
  for (const [name, draw] of Object.entries(pictures)) {
    if (map.hasImage(name)) continue;
    const made = draw();
    const { width, height } = made.canvas;
    map.addImage(name, made.getImageData(0, 0, width, height), { pixelRatio: RATIO });
  }
}
