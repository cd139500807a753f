// The page: what the user does, and what is shown then.

import { byId, milliseconds } from "./elements.js";
import { exampleOf } from "./examples.js";
import { showActivity, showModels } from "./models.js";
import { drawPlot } from "./plots.js";
import { showResult } from "./results.js";
import { ServerError, ask, setToken, token } from "./server.js";
import { Webcam } from "./webcam.js";

const POLL_MS = 1000, RETRY_MS = 3000, MAX_WAIT_S = 5;
const webcam = new Webcam(byId("video"));
const state = { descriptions: [], activity: [], version: null, selected: "", image: null, needsToken: Boolean(token()) };
let running = null; // AbortController of the request for the image that is shown
let timer = 0;
let minute = null;

// ---- Classification

async function classify(blob, name) {
  running?.abort();
  const own = (running = new AbortController());
  if (!webcam.isOn) byId("predictions").setAttribute("aria-busy", "true"); // every frame would flicker
  const query = new URLSearchParams({ top_k: "5" });
  if (state.selected) query.set("model", state.selected);
  const started = performance.now();
  try {
    const answer = await ask(`/v1/classify?${query}`, {
      method: "POST", body: blob, signal: own.signal,
      headers: { "Content-Type": blob.type.startsWith("image/") ? blob.type : "application/octet-stream" },
    });
    byId("source").textContent = name;
    byId("error").hidden = byId("empty").hidden = true;
    showResult(answer, performance.now() - started, { announce: !webcam.isOn });
  } catch (error) {
    if (error.name === "AbortError") return;
    showFailure(error, name);
    throw error;
  } finally {
    if (running === own) {
      running = null;
      byId("predictions").removeAttribute("aria-busy");
    }
  }
}

function showFailure(error, name) {
  if (error.status === 401) askForToken(error.message);
  byId("source").textContent = name;
  byId("error").textContent = error.message;
  byId("error").hidden = false;
  byId("empty").hidden = true;
  byId("latency").hidden = true;
  byId("predictions").replaceChildren();
}

async function showImage(blob, name) {
  stopWebcam();
  state.image = { blob, name };
  const preview = byId("preview");
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(blob);
  preview.alt = name;
  preview.hidden = false;
  byId("prompt").hidden = true;
  byId("drop").classList.add("filled");
  byId("source").textContent = `${name}: classifying…`;
  await classify(blob, name).catch(() => {}); // shown
}

byId("preview").addEventListener("error", () => {
  // The browser cannot show this file. What the server makes of it is shown beside.
  byId("preview").hidden = true;
  byId("prompt").hidden = false;
  byId("drop").classList.remove("filled");
});

// ---- Choose, drop, paste

byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) showImage(file, file.name);
  event.target.value = ""; // the same file can be chosen again
});

for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault(); // anywhere: a file beside the zone must not replace the page
  byId("drop").classList.remove("over");
  takeFile(event.dataTransfer, "Dropped");
});
document.addEventListener("paste", (event) => {
  if (event.target.matches?.("input[type=password]")) return;
  takeFile(event.clipboardData, "Pasted");
});

function takeFile(transfer, how) {
  const [file] = transfer?.files ?? [];
  if (file) return showImage(file, file.name || "image");
  showFailure(new Error(`${how}: no image file. Choose, drop or paste an image.`), "No image");
}

// ---- Webcam

byId("webcam").addEventListener("click", async () => {
  if (webcam.isOn) return stopWebcam();
  byId("webcam").disabled = true;
  try {
    await webcam.start();
  } catch (error) {
    webcam.stop(); // it may be on, and its frames not be shown
    return showFailure(error, "Webcam");
  } finally {
    byId("webcam").disabled = false;
  }
  byId("preview").hidden = byId("prompt").hidden = true;
  byId("video").hidden = false;
  byId("drop").classList.add("filled");
  byId("webcam").textContent = "Stop webcam";
  byId("webcam").setAttribute("aria-pressed", "true");
  state.image = null;
  await classifyFrames();
});

async function classifyFrames() {
  let frames = 0, since = performance.now(), rate = "";
  while (webcam.isOn) {
    if (document.hidden) {
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
      continue;
    }
    const frame = await webcam.frame();
    if (!frame || !webcam.isOn) break;
    try {
      await classify(frame, `Webcam${rate}`);
    } catch (error) {
      const isBusy = error.status === 503 || error.status === 504;
      if (!isBusy) return stopWebcam();
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(error.retryAfterS || 1, MAX_WAIT_S)));
    }
    frames += 1;
    const elapsed = performance.now() - since;
    if (elapsed >= 1000) {
      rate = `, ${((frames * 1000) / elapsed).toFixed(1)} frames/s`;
      frames = 0;
      since = performance.now();
    }
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}

function stopWebcam() {
  if (!webcam.isOn) return;
  webcam.stop();
  running?.abort();
  byId("video").hidden = true;
  byId("prompt").hidden = false;
  byId("drop").classList.remove("filled");
  byId("webcam").textContent = "Start webcam";
  byId("webcam").setAttribute("aria-pressed", "false");
  byId("source").textContent = "Webcam stopped";
}

// ---- Token

function askForToken(message) {
  state.needsToken = true;
  byId("login-error").textContent = token() ? message : "";
  if (!byId("login").hidden) return;
  byId("login").hidden = false;
  byId("token").focus();
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = byId("token").value.trim();
  if (!/^[!-~]+$/.test(given)) {
    byId("login-error").textContent = "A token has printable ASCII characters only.";
    return;
  }
  setToken(given);
  byId("token").value = "";
  byId("login").hidden = true;
  byId("error").hidden = true;
  poll();
  if (state.image) showImage(state.image.blob, state.image.name);
});

// ---- Status of the server, once a second while the page is visible

async function poll() {
  clearTimeout(timer);
  let delay = POLL_MS;
  try {
    const status = await ask("/v1/status");
    if (status.descriptions !== state.version) {
      state.descriptions = (await ask("/v1/models")).models;
      state.version = status.descriptions;
      selectModel(state.descriptions.some(({ name }) => name === state.selected)
        ? state.selected : state.descriptions[0]?.name ?? "");
    }
    showStatus(status);
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    showServer("failing", error.status === 401 ? "A token is needed" : error.message);
    if (error.status === 401) return askForToken(error.message);
    delay = RETRY_MS;
  }
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(poll, delay);
}

function showServer(className, text) {
  const badge = byId("server");
  badge.className = `badge ${className}`;
  if (badge.textContent !== text) badge.textContent = text; // or a screen reader would read it every second
}

function showStatus(status) {
  state.activity = status.models;
  minute = status.last_minute;
  const waiting = status.models.filter(({ ready }) => !ready).length;
  const text = waiting ? `${waiting} of ${status.models.length} models not ready` : "Ready";
  showServer(waiting ? "failing" : "ready", `${text} · version ${status.version}`);
  showActivity(state.activity, state.selected);
  drawPlots();
}

function drawPlots() {
  if (!minute) return;
  drawPlot(byId("throughput"), [{ name: "", colour: "var(--series-1)", values: minute.images }],
    { format: (value) => `${value} images/s`, least: 4, about: "Throughput in images per second" });
  drawPlot(byId("durations"), [
    { name: "p50", colour: "var(--series-1)", values: minute.p50_ms },
    { name: "p95", colour: "var(--series-2)", values: minute.p95_ms, dashed: true },
  ], { format: milliseconds, least: 4, about: "Latency in milliseconds" });
  drawPlot(byId("queue"), [{ name: "", colour: "var(--series-3)", values: minute.queue }],
    { format: (value) => `${value} images`, least: 4, about: "Images in the queue" });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else poll();
});
new ResizeObserver(drawPlots).observe(byId("throughput"));

// ---- Models and examples

function selectModel(name) {
  const changed = state.selected !== "" && state.selected !== name;
  state.selected = name;
  const focused = document.activeElement?.closest?.(".card")?.dataset.model;
  showModels(state.descriptions, state.activity, name, selectModel);
  for (const card of document.querySelectorAll(".card")) {
    if (card.dataset.model === focused) card.querySelector("button").focus();
  }
  showExample();
  if (changed && state.image) showImage(state.image.blob, state.image.name);
}

byId("model").addEventListener("change", (event) => selectModel(event.target.value));

function showExample() {
  const model = state.descriptions.find(({ name }) => name === state.selected);
  const { value } = document.querySelector("input[name=example]:checked");
  byId("example").firstElementChild.textContent = model
    ? exampleOf(value, { input: "", output: "", ...model }, location.origin, state.needsToken) : "";
}

for (const choice of document.querySelectorAll("input[name=example]")) choice.addEventListener("change", showExample);

byId("copy").addEventListener("click", async () => {
  const code = byId("example").firstElementChild;
  try {
    await navigator.clipboard.writeText(code.textContent);
    byId("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code); // the browser allows no clipboard here: ready for Ctrl+C
    byId("copy").textContent = "Press Ctrl+C";
  }
  setTimeout(() => (byId("copy").textContent = "Copy"), 2000);
});

poll();
