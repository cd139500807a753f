// Elements are made here only, and texts are set as text only: what the server sends is never read as HTML.

export const byId = (id) => document.getElementById(id);

export function element(name, { text, className, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function svgElement(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

export function swatch(colour) {
  const made = element("span", { className: "swatch" });
  made.style.setProperty("--colour", colour);
  return made;
}

export const milliseconds = (value) => `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ms`;
