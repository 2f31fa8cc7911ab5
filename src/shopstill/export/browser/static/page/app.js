// The page: a question as it is typed and narrowed, its answer, and what is known of the student.

import "./texts.js";
import { active, body, CLEAR, DEPTH, PAGE, read, worded, write } from "./address.js";
import { card } from "./cards.js";
import { Client } from "./client.js";
import { $, h, set } from "./dom.js";
import { drawChips, drawer, drawFacets } from "./facets.js";
import { ms, number, switchable, t } from "./words.js";

const [box, grid, progress] = [$("#q"), $("#grid"), $("#progress")];
const megabytes = (bytes) => number(bytes / 1e6, 1);

const PATIENCE_MS = 2000;
const state = { facts: null, answer: null, asked: read(), offline: "saving" };
let client = null;

/** Begin to load the student, and show how far that is: the size of all is in its facts, which are small. */
function load() {
  let come = 0;
  const facts = fetch("student/student.json").then((found) => found.json());
  const size = facts.then(({ bytes }) => bytes.student + bytes.catalogue).catch(() => Infinity);
  return new Client((bytes) => {
    come += bytes;
    size.then((all) => (progress.value = Math.min(come / all, 1)));
  });
}

function fact(name, text, kind = "") {
  const element = $(`#fact-${name}`);
  if (element.textContent !== text) element.textContent = text;
  element.className = kind;
}

function tell() {
  if (!state.facts) return;
  const { products, bytes } = state.facts;
  fact("products", t("products", { n: products }));
  fact("student", t("student", { n: megabytes(bytes.student) }));
  const took = state.answer?.query.trim() ? state.answer.waited : null;
  fact("time", took === null ? "" : t("time", { n: ms(took) }));
  fact("offline", t(state.offline), state.offline === "offline" ? "ready" : "");
  const rows = [["size_student", bytes.student], ["size_catalogue", bytes.catalogue], ["size_values", bytes.values], ["size_all", bytes.all]];
  const shown = rows.map(([name, value]) => [t(name), t("mb", { n: megabytes(value) })]);
  const list = [...shown, [t("model"), `${state.facts.name} (${state.facts.kind}), ${state.facts.digest.slice(0, 12)}`]];
  $("#sizes").replaceChildren(...list.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

async function ask() {
  const { query, filters, sort, prefix } = body(state.asked);
  const answer = await client.search(query, { limit: state.asked.shown, filters, sort, unfinished: prefix });
  if (!answer) return;
  state.answer = answer;
  draw();
}

function draw() {
  const { query, hits, total, facets, spelling } = state.answer;
  document.body.dataset.answered = query;
  const boxes = new Map([...grid.children].map((one) => [one.dataset.id, $(".picture", one)]));
  set(grid, hits.length ? hits.map((hit) => card(hit, spelling ?? query, boxes.get(hit.id))) : empty(query));
  $("#spelling").textContent = t("instead", { q: query, s: spelling ?? "" });
  $("#spelling").hidden = !spelling;
  $("#results").setAttribute("aria-label", t(query.trim() ? "results" : "first"));
  set($("#count"), h("b", {}, t("count", { n: total })));
  $("#sort").value = state.asked.sort || "relevance";
  $("#more").hidden = hits.length >= Math.min(total, DEPTH);
  $("#drawer footer button").textContent = t("show", { n: total });
  drawChips(state.asked, change);
  drawFacets(facets, state.asked, change);
  tell();
}

function empty(query) {
  const filtered = active(state.asked).length > 0;
  const clear = () => change(CLEAR);
  return h(
    "li",
    { class: "empty" },
    h("h2", {}, query.trim() ? t("none", { q: query }) : t("none_all")),
    h("p", {}, t(filtered ? "none_filters" : "none_hint")),
    filtered ? h("button", { class: "button strong", type: "button", onclick: clear }, t("clear")) : null,
  );
}

function broken(fault) {
  progress.hidden = true;
  $("#notice").textContent = t("broken", { why: fault.message });
  $("#notice").hidden = false;
}

const questioned = () => ask().catch(broken);

/** What is typed takes the place of the last address; what is chosen is a step that the back button takes back. */
function go(what, { step = false } = {}) {
  state.asked = { ...state.asked, shown: PAGE, ...what };
  history[step ? "pushState" : "replaceState"](null, "", write(state.asked));
  questioned();
}

const change = (what) => go(what, { step: true });

async function keep() {
  if (!("serviceWorker" in navigator)) {
    state.offline = isSecureContext ? "online" : "unsafe";
    return tell();
  }
  try {
    await navigator.serviceWorker.register("service-worker.js", { updateViaCache: "none" });
    await navigator.serviceWorker.ready;
    state.offline = "offline";
  } catch {
    state.offline = "online";
  }
  tell();
}

/** Every tab is on one release: where another takes over, the page goes anew, with its query. */
function follow() {
  const workers = navigator.serviceWorker;
  if (workers?.controller) workers.addEventListener("controllerchange", () => location.reload());
}

/** A release that came during the last visit takes over before this one begins; a page that waits in vain goes on. */
async function renewed() {
  const waiting = (await navigator.serviceWorker?.getRegistration())?.waiting;
  if (!waiting) return;
  waiting.postMessage("take over");
  await new Promise((done) => setTimeout(done, PATIENCE_MS));
}

function offerInstall() {
  let offered = null;
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    offered = event;
    $("#install").hidden = false;
  });
  $("#install").addEventListener("click", () => {
    offered?.prompt();
    $("#install").hidden = true;
  });
  addEventListener("appinstalled", () => ($("#install").hidden = true));
}

function listen() {
  box.addEventListener("input", () => go(worded(box.value, true)));
  $("#search").addEventListener("submit", (event) => {
    event.preventDefault();
    go(worded(box.value));
    if (matchMedia("(pointer: coarse)").matches) box.blur();
  });
  $("#sort").addEventListener("change", ({ target }) => change({ sort: target.value === "relevance" ? "" : target.value }));
  $("#more button").addEventListener("click", () => go({ shown: Math.min(state.asked.shown + PAGE, DEPTH) }));
  addEventListener("popstate", () => {
    state.asked = read();
    box.value = state.asked.q;
    questioned();
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || $("dialog[open]") || event.target.closest?.("input, select")) return;
    event.preventDefault();
    box.focus();
  });
}

async function begin() {
  switchable(() => state.answer && draw());
  follow();
  await renewed().catch(() => {});
  client = load();
  offerInstall();
  drawer();
  box.value = state.asked.q;
  state.facts = await client.facts;
  listen();
  const { priced, filtered } = state.facts;
  document.body.classList.toggle("plain", !filtered);
  [$("#order").hidden, $("#sorting").hidden] = [!filtered, !priced];
  progress.hidden = true;
  box.disabled = false;
  if (!matchMedia("(pointer: coarse)").matches) box.focus();
  await ask();
  $("#results").setAttribute("aria-busy", "false");
  // What the page needed has come: now everything is kept, for the most part from the browser's own cache.
  await keep();
}

begin().catch(broken);
