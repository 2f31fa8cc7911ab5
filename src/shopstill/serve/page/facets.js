// What results can be narrowed by, with counts; beside the results, or in a drawer where there is no room.
import { active, attr, attrParts, CLEAR } from "./address.js";
import { $, h, set } from "./dom.js";
import { human, number, price, t } from "./words.js";

const SHOWN = 7;
const BETWEEN = " > ";
const opened = new Set();

/** The name of an attribute that a facet counts. */
const named = (field) => field.replace(/^attribute:/, "");

/** A bound as one says it: a range of prices ends a hair below the next one, at 19.999999999999996, which is said 20. */
const said = (bound) => Number(Number(bound).toPrecision(12));

/** Bounds of a price in words. */
export function bounds(low, high) {
  if (low === null || low === "") return t("upto", { b: price(said(high)) });
  if (high === null || high === "") return t("over", { a: price(said(low)) });
  return `${price(said(low))} – ${price(said(high))}`;
}

/** Draw all facets; `change` is given what a click changes. */
export function drawFacets(facets, asked, change) {
  const place = $("#facets");
  const focus = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const again = () => drawFacets(facets, asked, change);
  const draw = (facet) => (facet.field === "price" ? prices(facet, asked, change) : values(facet, asked, change, again));
  set(place, facets.filter((facet) => facet.values.length).map(draw));
  // What had the focus was drawn anew, so the keyboard goes on from there.
  if (focus) [...place.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focus)?.focus();
}

function group(title, field, ...inside) {
  return h("fieldset", { class: "facet", "data-field": field }, h("legend", {}, title), inside);
}

function toggled(asked, name, value) {
  const rest = asked[name].filter((other) => other !== value);
  return { [name]: rest.length < asked[name].length ? rest : [...rest, value] };
}

function row({ key, checked, text, count, depth = 0, change }) {
  const box = h("input", { type: "checkbox", "data-key": key, checked, onchange: change });
  return h("label", { class: `value deep-${Math.min(depth, 3)}` }, box, h("bdi", {}, text), h("small", {}, number(count)));
}

function values(facet, asked, change, again) {
  const name = facet.field === "brand" || facet.field === "category" ? facet.field : "attr";
  const key = (value) => (name === "attr" ? attr(named(facet.field), value) : value);
  const order = name === "category" ? inTree(facet.values) : facet.values;
  const chosen = (one) => asked[name].includes(key(one.value));
  const all = opened.has(facet.field) || order.length <= SHOWN + 1;
  const seen = order.filter((one, i) => all || i < SHOWN || chosen(one));
  const rows = seen.map((one) => {
    const path = name === "category" ? one.value.split(BETWEEN) : [one.value];
    return row({ key: `${name}/${key(one.value)}`, checked: chosen(one), text: path.at(-1), count: one.count, depth: path.length - 1, change: () => change(toggled(asked, name, key(one.value))) });
  });
  const more = order.length > SHOWN + 1 ? unfold(facet, order.length, again) : null;
  return group(name === "attr" ? human(named(facet.field)) : t(name), facet.field, rows, more);
}

function unfold(facet, n, again) {
  const open = opened.has(facet.field);
  const turn = () => {
    opened[open ? "delete" : "add"](facet.field);
    again();
  };
  return h("button", { class: "link", type: "button", "data-key": `more/${facet.field}`, "aria-expanded": String(open), onclick: turn }, open ? t("fewer") : t("all", { n }));
}

/** Categories below their parents, siblings commonest first. */
function inTree(all) {
  const below = new Map();
  const known = new Set(all.map((one) => one.value));
  for (const one of all) {
    const parent = one.value.split(BETWEEN).slice(0, -1).join(BETWEEN);
    const under = known.has(parent) ? parent : "";
    below.set(under, [...(below.get(under) ?? []), one]);
  }
  const walk = (under) => (below.get(under) ?? []).flatMap((one) => [one, ...walk(one.value)]);
  return walk("");
}

function prices(facet, asked, change) {
  const same = (text, bound) => (text === "" ? null : Number(text)) === (bound ?? null);
  const rows = facet.values.map((one) => {
    const low = one.low || null;
    const checked = same(asked.price_min, low) && same(asked.price_max, one.high) && Boolean(asked.price_min || asked.price_max);
    const to = checked ? { price_min: "", price_max: "" } : { price_min: String(low ?? ""), price_max: String(one.high ?? "") };
    return row({ key: `price/${one.value}`, checked, text: bounds(low, one.high ?? null), count: one.count, change: () => change(to) });
  });
  const shown = (name) => (asked[name] === "" ? "" : String(said(asked[name])));
  const field = (name, label) => h("input", { type: "number", name, min: 0, step: "any", inputmode: "decimal", "aria-label": `${t("price")}: ${label}`, placeholder: label, value: shown(name), "data-key": name });
  const send = (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    // What nobody typed over stays as exact as it was.
    const typed = (name) => (given.get(name) === shown(name) ? asked[name] : given.get(name));
    change({ price_min: typed("price_min"), price_max: typed("price_max") });
  };
  const form = h("form", { class: "between", onsubmit: send }, field("price_min", t("from")), field("price_max", t("to")), h("button", { class: "button", type: "submit", "data-key": "price/apply" }, t("apply")));
  return group(t("price"), "price", rows, form);
}

/** Draw the active filters, each with a way out of it. */
export function drawChips(asked, change) {
  const found = active(asked);
  const text = (one) => {
    if (one.name === "price") return bounds(one.low, one.high);
    if (one.name === "attr") return attrParts(one.value).map((part, i) => (i ? part : human(part))).join(": ");
    return one.value.split(BETWEEN).at(-1);
  };
  const chips = found.map((one) => h("button", { class: "chip", type: "button", "aria-label": t("remove", { what: text(one) }), onclick: () => change(one.without) }, h("bdi", {}, text(one)), h("span", { "aria-hidden": "true" }, "×")));
  if (found.length > 1) chips.push(h("button", { class: "link", type: "button", onclick: () => change(CLEAR) }, t("clear")));
  set($("#chips"), chips);
  $("#chips").hidden = !found.length;
  const button = $("#filters");
  button.textContent = found.length ? `${t("filters")} · ${found.length}` : t("filters");
}

/** Let the button on small screens open the facets in a drawer. */
export function drawer() {
  const dialog = $("#drawer");
  $("#filters").addEventListener("click", () => {
    $(".inside", dialog).append($("#facets"));
    dialog.showModal();
  });
  dialog.addEventListener("close", () => $("#aside").append($("#facets")));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest(".close, footer .button")) dialog.close();
  });
  // A turned tablet has room again.
  matchMedia("(min-width: 860px)").addEventListener("change", () => dialog.open && dialog.close());
}
