// The page: a question as it is typed, its answer, and what is known of the student.

import { show } from "./cards.js";
import { Client } from "./client.js";
import { dress, megabytes, number, t, turn } from "./words.js";

const $ = (selector) => document.querySelector(selector);
const [box, grid, progress] = [$("#q"), $("#grid"), $("#progress")];

const PATIENCE_MS = 2000;
const state = { facts: null, answer: null, offline: "saving" };
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
  fact("time", took === null ? "" : t("time", { n: number(took, took < 10 ? 1 : 0) }));
  fact("offline", t(state.offline), state.offline === "offline" ? "ready" : "");
  const rows = [["size_student", bytes.student], ["size_catalogue", bytes.catalogue], ["size_all", bytes.all]];
  const shown = rows.map(([name, value]) => [t(name), t("mb", { n: megabytes(value) })]);
  const list = [...shown, [t("model"), `${state.facts.name} (${state.facts.kind}), ${state.facts.digest.slice(0, 12)}`]];
  $("#sizes").replaceChildren(...list.flatMap(([name, value]) => [line("dt", name), line("dd", value)]));
}

function line(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

async function ask(unfinished = false) {
  const query = box.value;
  const answer = await client.search(query, { unfinished });
  if (!answer) return;
  state.answer = answer;
  document.body.dataset.answered = answer.query;
  show(grid, answer.hits, answer.spelling ?? answer.query);
  $("#spelling").textContent = t("instead", { q: answer.query, s: answer.spelling ?? "" });
  $("#spelling").hidden = !answer.spelling;
  $("#results").setAttribute("aria-label", t(answer.query.trim() ? "results" : "first"));
  $("#said").textContent = answer.query.trim() ? t("said", { n: answer.hits.length, q: answer.query }) : "";
  tell();
}

function broken(fault) {
  progress.hidden = true;
  $("#notice").textContent = t("broken", { why: fault.message });
  $("#notice").hidden = false;
}

const questioned = (unfinished = false) => ask(unfinished).catch(broken);

function remember() {
  const address = new URL(location.href);
  if (box.value) address.searchParams.set("q", box.value);
  else address.searchParams.delete("q");
  history.replaceState(null, "", address);
}

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

async function begin() {
  dress();
  follow();
  await renewed().catch(() => {});
  client = load();
  offerInstall();
  box.value = new URLSearchParams(location.search).get("q") ?? "";
  box.addEventListener("input", () => (remember(), questioned(true)));
  $("#search").addEventListener("submit", (event) => {
    event.preventDefault();
    questioned();
    if (matchMedia("(pointer: coarse)").matches) box.blur();
  });
  $("#language").addEventListener("click", () => (turn(), questioned(), tell()));
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || document.activeElement === box) return;
    event.preventDefault();
    box.focus();
  });
  state.facts = await client.facts;
  progress.hidden = true;
  box.disabled = false;
  if (!matchMedia("(pointer: coarse)").matches) box.focus();
  await ask();
  $("#results").setAttribute("aria-busy", "false");
  // What the page needed has come: now everything is kept, for the most part from the browser's own cache.
  await keep();
}

begin().catch(broken);
