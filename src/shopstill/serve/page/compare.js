// Two models on the same query, side by side: how each product moved, how far they agree, and how long each took.
import { models, newest } from "./api.js";
import { marked, picture, priceTag } from "./card.js";
import { $, h, s, set } from "./dom.js";
import { ms, number, t } from "./words.js";

const ask = newest();

/** Draw the comparison; returns the two names that were compared, or null. */
export async function drawComparison(asked, { open, choose }) {
  const place = $("#models");
  const loaded = await models();
  if (loaded.length < 2) return say(place, t("one_model"));
  const [one, other] = chosen(asked.compare, loaded);
  if (!asked.q.trim()) return say(place, t("compare_query"));
  const said = await ask("compare", { params: { q: asked.q, models: `${one},${other}` } });
  const names = loaded.map((each) => each.name);
  const [left, right] = said.sides;
  const rank = [left, right].map((side) => new Map(side.hits.map((hit, i) => [hit.product.id, i])));
  set(
    place,
    agreement(said),
    h(
      "div",
      { class: "sides" },
      head(left, right, names, t("left"), (name) => choose([name, name === other ? one : other])),
      h("button", { class: "button swap", type: "button", "aria-label": t("swap"), title: t("swap"), onclick: () => choose([other, one]) }, "⇄"),
      head(right, left, names, t("right"), (name) => choose([name === one ? other : one, name])),
      list(left, rank[1], left.model, open),
      threads(left.hits, rank[1], Math.max(left.hits.length, right.hits.length)),
      list(right, rank[0], right.model, open),
    ),
    h("p", { class: "soft" }, t("compare_hint")),
  );
  together(place);
  return [one, other];
}

/** The two models to compare: as the address has it, else the active one and the next. */
function chosen(text, loaded) {
  const names = loaded.map((each) => each.name);
  const given = text.split(",").filter((name) => names.includes(name));
  if (given.length === 2 && given[0] !== given[1]) return given;
  const active = loaded.find((each) => each.active)?.name ?? names[0];
  return [active, names.find((name) => name !== active)];
}

function say(place, text) {
  set(place, h("p", { class: "empty" }, text));
  return null;
}

function agreement(said) {
  const tau = said.tau === null ? "–" : number(said.tau, 2);
  return h(
    "dl",
    { class: "agreement" },
    h("div", { title: t("tau_hint") }, h("dt", {}, t("tau")), h("dd", {}, tau), h("dd", { class: "soft" }, t("tau_hint"))),
    h("div", {}, h("dt", {}, t("shared")), h("dd", {}, `${number(said.shared * 100)} %`)),
  );
}

function head(side, other, names, label, pick) {
  const select = h("select", { "aria-label": label, onchange: (event) => pick(event.target.value) }, names.map((name) => h("option", { value: name, selected: name === side.model }, name)));
  const times = other.took_ms / Math.max(side.took_ms, 1e-3);
  return h("div", { class: "side-head" }, select, h("p", {}, h("b", {}, t("took_model", { n: ms(side.took_ms) })), times >= 1.5 ? h("span", { class: "soft" }, ` ${t("times", { n: number(times, times < 10 ? 1 : 0) })}`) : null));
}

function shift(i, there) {
  if (there === undefined) return h("span", { class: "badge only" }, t("only"));
  const by = there - i;
  const long = by ? t("place_of", { n: there + 1 }) : t("same");
  return h("span", { class: `badge ${by > 0 ? "up" : by < 0 ? "down" : ""}`, title: long }, by ? `${by > 0 ? "▲" : "▼"} ${Math.abs(by)}` : "=", h("span", { class: "hidden" }, ` ${long}`));
}

function list(side, there, name, open) {
  const rows = side.hits.map((hit, i) =>
    h(
      "li",
      { "data-id": hit.product.id },
      h("b", { class: "rank" }, number(i + 1)),
      picture(hit.product, i > 6),
      h("button", { class: "title", type: "button", title: hit.product.title, onclick: () => open(hit.product.id, name) }, h("bdi", {}, marked(hit.product.title, hit.marks))),
      h("p", {}, priceTag(hit.product.price), shift(i, there.get(hit.product.id))),
    ),
  );
  return h("ol", { class: "side", "aria-label": name }, rows);
}

/** Lines from each product's place on the left to its place on the right; rows are of one height. */
function threads(hits, there, n) {
  const lines = hits.flatMap((hit, i) => {
    const j = there.get(hit.product.id);
    if (j === undefined) return [];
    const [from, to] = [(i + 0.5) * 10, (j + 0.5) * 10];
    return s("path", { d: `M0 ${from}C50 ${from} 50 ${to} 100 ${to}`, "data-id": hit.product.id, class: j > i ? "down" : j < i ? "up" : "" });
  });
  return s("svg", { class: "threads", "--n": n, viewBox: `0 0 100 ${n * 10}`, preserveAspectRatio: "none", "aria-hidden": "true" }, lines);
}

/** What is pointed at stands out on both sides. */
function together(place) {
  const sides = $(".sides", place);
  const show = (event) => {
    const id = event.type === "mouseleave" ? null : event.target.closest?.("[data-id]")?.dataset.id;
    for (const one of sides.querySelectorAll("[data-id]")) one.classList.toggle("lit", one.dataset.id === id);
  };
  for (const type of ["mouseover", "focusin", "mouseleave"]) sides.addEventListener(type, show);
}
