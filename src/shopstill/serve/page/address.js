// What is asked, as the page's address has it: a link, a reload and the back button all give the same results.

export const PAGE = 24;
export const DEPTH = 1000;
const MANY = ["brand", "category", "attr"];
const ONE = ["q", "begun", "price_min", "price_max", "sort", "compare", "item"];

/** What an address asks for. Where its words are `begun`, the last of them may become others. */
export function read(search = location.search) {
  const given = new URLSearchParams(search);
  const asked = { shown: Math.min(Math.max(Number.parseInt(given.get("shown"), 10) || PAGE, PAGE), DEPTH) };
  for (const name of MANY) asked[name] = given.getAll(name);
  for (const name of ONE) asked[name] = given.get(name) ?? "";
  for (const name of ["price_min", "price_max"]) if (!(Number(asked[name]) >= 0)) asked[name] = "";
  if (!["price_asc", "price_desc"].includes(asked.sort)) asked.sort = "";
  return asked;
}

/** The address that asks for it. */
export function write(asked) {
  const given = new URLSearchParams();
  for (const name of ONE) if (asked[name]) given.set(name, asked[name]);
  for (const name of MANY) for (const value of asked[name]) given.append(name, value);
  if (asked.shown > PAGE) given.set("shown", asked.shown);
  const search = given.toString();
  return search ? `?${search}` : location.pathname;
}

/** An attribute and its value as one text; a colon may stand in either. */
export const attr = (name, value) => `${name.replace(/[%:]/g, encodeURIComponent)}:${value}`;

/** And back: [name, value]. */
export function attrParts(text) {
  const at = text.indexOf(":");
  try {
    return [decodeURIComponent(text.slice(0, at)), text.slice(at + 1)];
  } catch {
    return [text.slice(0, at), text.slice(at + 1)]; // An address that somebody wrote by hand.
  }
}

function attributes(texts) {
  const wanted = Object.create(null); // An attribute may be named as anything.
  for (const [name, value] of texts.map(attrParts)) if (name) (wanted[name] ??= []).push(value);
  return wanted;
}

/** The body of a search. */
export function body(asked, { offset = 0, limit = PAGE } = {}) {
  const number = (text) => (text === "" ? null : Number(text));
  return {
    query: asked.q,
    limit: Math.min(limit, DEPTH - offset),
    offset,
    filters: {
      brand: asked.brand,
      category: asked.category,
      price_min: number(asked.price_min),
      price_max: number(asked.price_max),
      attributes: attributes(asked.attr),
    },
    sort: asked.sort || "relevance",
    facets: offset ? [] : ["category", "brand", "price", "*"],
    prefix: Boolean(asked.begun),
  };
}

/** The active filters, each with what is left without it. */
export function active(asked) {
  const found = [];
  for (const name of MANY) {
    for (const value of asked[name]) {
      found.push({ name, value, without: { [name]: asked[name].filter((other) => other !== value) } });
    }
  }
  if (asked.price_min || asked.price_max) {
    found.push({ name: "price", low: asked.price_min, high: asked.price_max, without: { price_min: "", price_max: "" } });
  }
  return found;
}

/** What is asked once the words are these, whole or begun. */
export const worded = (q, begun = false) => ({ q, begun: begun && q ? "1" : "" });

/** No filters at all. */
export const CLEAR = { brand: [], category: [], attr: [], price_min: "", price_max: "" };
