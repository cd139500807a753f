// The classes of an image, and how long each stage took.

import { byId, element, milliseconds, swatch } from "./elements.js";

const STAGES = [
  ["Decode", "decode", "var(--series-1)"], ["Geometry", "geometry", "var(--series-2)"],
  ["Queue", "queue", "var(--series-3)"], ["Inference", "inference", "var(--series-4)"],
];
const REST = ["Network, other", "var(--series-5)"];

export function percent(probability) {
  const text = (probability * 100).toFixed(1);
  return text === "0.0" && probability > 0 ? "< 0.1 %" : `${text} %`;
}

// elapsedMs: from sending the request to having read the answer.
export function showResult({ predictions, timings_ms: timings }, elapsedMs, { announce }) {
  byId("predictions").replaceChildren(...predictions.map(predictionRow));
  if (announce) {
    const best = predictions[0];
    byId("announcement").textContent = best ? `${best.label}, ${percent(best.probability)}` : "No classes";
  }
  showLatency(timings, elapsedMs);
}

function predictionRow({ label, probability }) {
  const fill = element("span", { className: "fill" });
  fill.style.width = `${Math.min(Math.max(probability, 0), 1) * 100}%`;
  return element(
    "li", {},
    element("span", { className: "label", text: label }),
    element("span", { className: "percent", text: percent(probability) }),
    element("span", { className: "track", "aria-hidden": "true" }, fill),
  );
}

function showLatency(timings, elapsedMs) {
  const stages = STAGES.map(([name, key, colour]) => ({ name, colour, ms: timings[key] ?? 0 }));
  const known = stages.reduce((sum, stage) => sum + stage.ms, 0);
  stages.push({ name: REST[0], colour: REST[1], ms: Math.max(elapsedMs - known, 0) });
  const total = stages.reduce((sum, stage) => sum + stage.ms, 0);
  byId("latency-total").textContent = milliseconds(total);
  byId("latency-bar").replaceChildren(...stages.map(({ colour, ms }) => {
    const part = element("span");
    part.style.width = `${total ? (ms / total) * 100 : 0}%`;
    part.style.setProperty("--colour", colour);
    return part;
  }));
  byId("latency-stages").replaceChildren(
    ...stages.map(({ name, colour, ms }) => element("li", {}, swatch(colour), `${name} ${milliseconds(ms)}`)),
  );
  byId("latency").hidden = false;
}
