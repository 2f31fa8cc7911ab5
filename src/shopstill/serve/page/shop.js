// The shop: what is typed and chosen becomes an address, the address a question, and the answer what is seen.
import { active, body, CLEAR, DEPTH, PAGE, read, worded, write } from "./address.js";
import { newest } from "./api.js";
import { card } from "./card.js";
import { drawComparison } from "./compare.js";
import { $, h, set } from "./dom.js";
import { drawChips, drawer, drawFacets } from "./facets.js";
import { closable, closeItem, showItem } from "./item.js";
import { suggesting } from "./suggest.js";
import { ms, switchable, t } from "./words.js";

const AT_ONCE = 96;
const PAUSE_MS = 60;
const box = $("#q");
const ask = newest();
let asked = read();
let answer = null;
let hits = [];
let typing = false;
let timer = 0;

const searched = (one) => write({ ...one, item: "" });

/** Go to another address: a step that the back button takes back, or in place of the last one. */
function go(change, { step = true, always = false } = {}) {
  const before = asked;
  asked = { ...asked, ...change };
  if (!("shown" in change) && searched(before) !== searched(asked)) asked.shown = PAGE;
  const address = write(asked);
  if (address !== write(before)) {
    history.replaceState({ ...history.state, scroll: scrollY }, "");
    history[step ? "pushState" : "replaceState"](step ? { inside: true } : history.state, "", address);
  }
  if (searched(before) !== searched(asked) || always) search();
  else item();
}

const change = (what) => go(what);
// From one product to the next is no step: closing the dialog leads back to the results.
const open = (id) => go({ item: id }, { step: !asked.item });

// ------------------------------------------------------------------------------------------------------- searching

async function search({ scroll = null } = {}) {
  const begun = performance.now();
  const slow = setTimeout(() => ($("#busy").hidden = false), 150);
  $("#results").setAttribute("aria-busy", "true");
  clearTimeout(search.again);
  try {
    if (asked.compare) await compare();
    else await find(begun);
    if (scroll !== null) scrollTo({ top: scroll, behavior: "instant" });
  } catch (error) {
    if (error.name === "AbortError") return;
    fail(error);
  } finally {
    clearTimeout(slow);
  }
  $("#busy").hidden = true;
  $("#results").setAttribute("aria-busy", "false");
}

async function find(begun) {
  let got = [];
  let first = null;
  do {
    const limit = Math.min(asked.shown - got.length, AT_ONCE);
    const said = await ask("search", { body: body(asked, { offset: got.length, limit }) });
    first ??= said;
    got = [...got, ...said.hits];
    if (said.hits.length < limit) break;
  } while (got.length < asked.shown);
  first.all_ms = performance.now() - begun;
  [answer, hits] = [first, got];
  draw();
}

async function compare() {
  clearTimeout(timer);
  show("models");
  const names = await drawComparison(asked, { open, choose: (two) => go({ compare: two.join(",") }) });
  set($("#count"), names ? names.join(" ⇄ ") : "\u00a0");
  draw();
}

async function more() {
  const said = await ask("search", { body: body(asked, { offset: hits.length }) });
  hits = [...hits, ...said.hits];
  if (!said.hits.length) answer.total = hits.length;
  const focus = said.hits[0]?.product.id;
  asked.shown = hits.length;
  history.replaceState(history.state, "", write(asked));
  draw();
  // The button may be gone: the keyboard goes on at the first product that is new.
  [...$("#grid").children].find((one) => one.dataset.id === focus)?.querySelector("a").focus({ preventScroll: true });
}

// --------------------------------------------------------------------------------------------------------- drawing

function show(which) {
  $("#grid").hidden = which !== "grid";
  $("#models").hidden = which !== "models";
  if (which === "models") for (const id of ["#more", "#notice", "#chips", "#hero"]) $(id).hidden = true;
  document.body.classList.toggle("comparing", which === "models");
  $("#compare").setAttribute("aria-pressed", String(which === "models"));
}

function draw() {
  document.title = asked.q ? `${asked.q} · shopstill` : "shopstill";
  $("#sort").value = asked.sort || "relevance";
  item();
  if (asked.compare || !answer) return;
  show("grid");
  const { total } = answer;
  set($("#count"), h("b", {}, t("count", { n: total })), h("span", { class: "took" }, ` ${t("took", { engine: ms(answer.took_ms), all: ms(answer.all_ms) })}`), answer.complete ? null : h("span", { class: "took" }, ` · ${t("unfinished")}`));
  hero();
  notice();
  drawChips(asked, change);
  drawFacets(answer.facets, asked, change);
  $("#drawer footer button").textContent = t("show", { n: total });
  const boxes = new Map([...$("#grid").children].map((one) => [one.dataset.id, $(".picture", one)]));
  set($("#grid"), hits.length ? hits.map((hit) => card(hit, open, Boolean(asked.q), boxes.get(hit.product.id))) : empty());
  $("#more").hidden = hits.length >= Math.min(total, DEPTH);
}

/** A welcome, and the aisles of the shop, where nothing was asked yet. */
function hero() {
  const nothing = !asked.q && !active(asked).length;
  $("#hero").hidden = !nothing;
  if (!nothing) return;
  const aisles = answer.facets.find((facet) => facet.field === "category") ?? answer.facets.find((facet) => facet.field === "brand");
  const tops = (aisles?.values ?? []).filter((one) => !one.value.includes(" > ")).slice(0, 7);
  set($("#aisles"), tops.map((one) => h("button", { class: "chip", type: "button", onclick: () => go({ [aisles.field]: [one.value] }) }, h("bdi", {}, one.value))));
}

function notice() {
  const { spelling, corrected, query } = answer;
  $("#notice").hidden = !spelling;
  if (!spelling) return;
  const better = () => (box.value = spelling) && go(worded(spelling));
  set($("#notice"), corrected ? t("instead", { q: query, s: spelling }) : [`${t("mean")} `, h("button", { class: "link", type: "button", onclick: better }, h("bdi", {}, spelling)), "?"]);
}

function empty() {
  const filtered = active(asked).length > 0;
  return h(
    "li",
    { class: "empty" },
    h("h2", {}, asked.q ? t("none", { q: asked.q }) : t("none_all")),
    h("p", {}, filtered ? t("none_filters") : asked.q ? t("none_hint") : ""),
    filtered ? h("button", { class: "button strong", type: "button", onclick: () => go(CLEAR) }, t("clear")) : null,
  );
}

function fail(error) {
  show("grid");
  const busy = error.wait > 0 && (error.status === 429 || error.status === 503);
  const text = busy ? t("wait", { n: error.wait }) : error.status ? error.message : t("unreachable");
  set($("#count"), "\u00a0");
  for (const id of ["#more", "#notice", "#hero"]) $(id).hidden = true;
  set($("#grid"), h("li", { class: "empty", role: "alert" }, h("h2", {}, t("wrong")), h("p", {}, text), h("button", { class: "button strong", type: "button", onclick: () => search() }, t("again"))));
  if (busy) search.again = setTimeout(search, error.wait * 1000);
}

let shownItem = "";

function item() {
  if (asked.item === shownItem) return;
  shownItem = asked.item;
  if (shownItem) showItem(shownItem, asked.q, open, hits.find((hit) => hit.product.id === shownItem));
  else closeItem();
}

// ---------------------------------------------------------------------------------------------------------- typing

const suggestions = suggesting((chosen) => {
  clearTimeout(timer);
  typing = false;
  if (chosen.kind === "product" && chosen.id) return open(chosen.id);
  const words = chosen.kind === "completion" || chosen.kind === "product";
  box.value = words ? chosen.text : "";
  return go(words ? worded(chosen.text) : { ...CLEAR, ...worded(""), [chosen.kind]: [chosen.text] });
});

box.addEventListener("input", (event) => {
  if (event.isComposing) return;
  clearTimeout(timer);
  timer = setTimeout(() => {
    suggestions.look();
    // What is typed in one go is one step for the back button.
    go(worded(box.value.trim(), !/\s$/.test(box.value)), { step: !typing, always: true });
    typing = true;
  }, PAUSE_MS);
});
box.addEventListener("compositionend", () => box.dispatchEvent(new Event("input")));
box.addEventListener("blur", () => (typing = false));

$("#search").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  suggestions.close();
  const step = !typing;
  typing = false;
  go(worded(box.value.trim()), { step, always: true });
  if (matchMedia("(pointer: coarse)").matches) box.blur(); // The keyboard makes room for the results.
});

addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]") || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  box.focus();
  box.select();
});

// ----------------------------------------------------------------------------------------------------------- wiring

$("#sort").addEventListener("change", (event) => go({ sort: event.target.value === "relevance" ? "" : event.target.value }));
$("#more button").addEventListener("click", () => more().catch((error) => error.name === "AbortError" || fail(error)));
$("#compare").addEventListener("click", () => go({ compare: asked.compare ? "" : "on", item: "" }));
$(".mark").addEventListener("click", (event) => {
  event.preventDefault();
  box.value = "";
  go({ ...CLEAR, ...worded(""), sort: "", compare: "", item: "" });
});
closable(() => {
  if (!asked.item) return;
  if (history.state?.inside) history.back();
  else go({ item: "" }, { step: false });
});
history.scrollRestoration = "manual";
addEventListener("popstate", () => {
  const before = searched(asked);
  asked = read();
  box.value = asked.q;
  if (before === searched(asked)) item();
  else search({ scroll: history.state?.scroll ?? 0 });
});
drawer();
switchable(() => {
  shownItem = "";
  asked.compare ? search() : draw();
});
box.value = asked.q;
if (!asked.q && matchMedia("(pointer: fine)").matches) box.focus();
search();
