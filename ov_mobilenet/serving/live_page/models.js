// The models of the server: the list to choose from, and a card for each with what is baked into it.

import { byId, element } from "./elements.js";

// select(name): called when the user chooses a model in a card.
export function showModels(descriptions, activity, selected, select) {
  const list = byId("model");
  if ([...list.options].map((option) => option.value).join("\n") !== descriptions.map(({ name }) => name).join("\n")) {
    list.replaceChildren(...descriptions.map(({ name }) => element("option", { value: name, text: name })));
  }
  list.value = selected;
  list.disabled = descriptions.length < 2;
  byId("models").replaceChildren(...descriptions.map((one) => card(one, one.name === selected, select)));
  showActivity(activity, selected);
}

// The numbers that change: without making the cards again, so that the focus stays.
export function showActivity(activity, selected) {
  for (const one of byId("models").querySelectorAll(".card")) {
    const now = activity.find(({ name }) => name === one.dataset.model);
    if (!now) continue;
    const badge = one.querySelector(".badge");
    badge.className = now.ready ? "badge ready" : "badge failing";
    const counts = `${counted(now.images, "image")}, ${counted(now.errors, "error")}`;
    badge.textContent = now.ready ? `Ready · ${counts}` : `Not ready: ${now.state}`;
  }
  for (const option of byId("model").options) {
    const now = activity.find(({ name }) => name === option.value);
    option.textContent = now && !now.ready ? `${option.value} (not ready)` : option.value;
  }
  const now = activity.find(({ name }) => name === selected);
  byId("model-state").hidden = !now || now.ready;
  byId("model-state").textContent = now && !now.ready ? `The model ${now.name} is not ready: ${now.state}` : "";
}

function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

function card({ name, facts = {} }, isSelected, select) {
  const button = element("button", { type: "button", "aria-pressed": String(isSelected) });
  button.textContent = isSelected ? "Selected" : "Select";
  button.setAttribute("aria-label", `${button.textContent}: ${name}`);
  button.addEventListener("click", () => select(name));
  const rows = Object.entries(facts).map(([term, value]) =>
    element(
      "div", { className: value.length > 18 ? "wide" : "" },
      element("dt", { text: term }), element("dd", { text: value }),
    ));
  const made = element(
    "article", { className: isSelected ? "card selected" : "card" },
    element("div", { className: "row spread" },
      element("h3", { text: name }), button, element("p", { className: "badge" })),
    element("dl", {}, ...rows),
  );
  made.dataset.model = name;
  return made;
}
