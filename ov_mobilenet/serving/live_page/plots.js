// The plots of the last minute, drawn as SVG in the pixels that the page has for them.

import { element, svgElement, swatch } from "./elements.js";

const LEFT = 42, RIGHT = 6, TOP = 8, BOTTOM = 22;

// series: [{name, colour, values, dashed}], values from oldest to newest, null where there is none.
export function drawPlot(figure, series, { format, least, about }) {
  const svg = figure.querySelector("svg");
  const width = Math.max(svg.clientWidth, 120), height = Math.max(svg.clientHeight, 80);
  const count = series[0].values.length;
  const top = niceMaximum(Math.max(least, ...series.flatMap((one) => one.values.map((value) => value ?? 0))));
  const x = (index) => LEFT + ((width - LEFT - RIGHT) * index) / (count - 1);
  const y = (value) => height - BOTTOM - ((height - TOP - BOTTOM) * value) / top;
  const parts = [];
  for (const value of [0, top / 2, top]) {
    parts.push(svgElement("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    parts.push(svgElement("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, tick(value)));
  }
  parts.push(svgElement("text", { x: LEFT, y: height - 5 }, "1 min ago"));
  parts.push(svgElement("text", { x: width - RIGHT, y: height - 5, "text-anchor": "end" }, "now"));
  for (const one of series) parts.push(...drawSeries(one, x, y, series.length === 1));
  svg.replaceChildren(...parts);
  const latest = series.map((one) => ({ ...one, last: one.values.findLast((value) => value !== null) ?? null }));
  const texts = latest.map(({ name, last }) => `${name} ${last === null ? "–" : format(last)}`.trim());
  svg.setAttribute("aria-label", `${about}, last minute; latest: ${texts.join(", ")}`);
  figure.querySelector(".values").replaceChildren(
    ...latest.map(({ colour }, index) => element("span", {}, swatch(colour), texts[index])),
  );
}

function drawSeries({ values, colour, dashed }, x, y, filled) {
  const parts = [];
  for (const [start, end] of runs(values)) {
    const points = [];
    for (let index = start; index < end; index++) points.push(`${x(index).toFixed(1)},${y(values[index]).toFixed(1)}`);
    if (end - start === 1) {
      parts.push(svgElement("circle", { class: "dot", cx: x(start), cy: y(values[start]), r: 2.5 }));
      continue;
    }
    if (filled) {
      const area = `M${x(start)},${y(0)}L${points.join("L")}L${x(end - 1)},${y(0)}Z`;
      parts.push(svgElement("path", { class: "area", d: area }));
    }
    parts.push(svgElement("path", { class: dashed ? "line dashed" : "line", d: `M${points.join("L")}` }));
  }
  for (const part of parts) part.style.setProperty("--colour", colour);
  return parts;
}

// [start, end) of each stretch without null.
function runs(values) {
  const found = [];
  let start = null;
  [...values, null].forEach((value, index) => {
    if (value !== null && start === null) start = index;
    if (value === null && start !== null) {
      found.push([start, index]);
      start = null;
    }
  });
  return found;
}

function niceMaximum(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

function tick(value) {
  if (value >= 10000) return `${+(value / 1000).toFixed(1)}k`;
  return String(+value.toFixed(value < 1 ? 2 : 1));
}
