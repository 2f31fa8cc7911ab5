// A product among results: its picture, or a drawn one, its words, and how it was found.
import { cut, h, s, safeImage } from "./dom.js";
import { number, priceParts, t } from "./words.js";

function numberOf(text) {
  let value = 2166136261;
  for (const letter of text) value = Math.imul(value ^ letter.codePointAt(0), 16777619);
  // FNV's low bits tell short texts apart badly.
  return (value ^ (value >>> 15)) >>> 0;
}

const LINES = [
  (n) => s("path", { d: [18, 34, 50, 66, 82].map((r) => `M${100 - r} ${100}a${r} ${r} 0 0 1 ${r} ${-r}`).join(""), transform: `rotate(${(n % 4) * 90} 50 50)` }),
  (n) => s("path", { d: Array.from({ length: 9 }, (_, i) => `M${i * 22 - 60} 100l100-100`).join(""), transform: n % 2 ? "scale(-1 1) translate(-100 0)" : null }),
  (n) => s("g", {}, [16, 28, 40].map((r) => s("circle", { cx: 24 + (n % 3) * 26, cy: 30, r }))),
  (n) => s("path", { d: [20, 36, 52, 68, 84].map((y) => `M0 ${y}c25-${10 + (n % 12)} 25 ${10 + (n % 12)} 50 0s25 ${10 + (n % 12)} 50 0`).join("") }),
  (n) => s("g", {}, [0, 1, 2].map((i) => s("rect", { x: 14 + i * 12, y: 14 + i * 12, width: 72 - i * 24, height: 72 - i * 24, rx: 2 + (n % 5) * 3 }))),
];

/** A picture drawn from the words of a product: its category gives the colour, its title the lines and the letter. */
function tile(product) {
  const n = numberOf(product.title);
  const hue = (numberOf(product.category[0] ?? product.brand ?? product.title) % 12) * 30;
  const letter = Array.from(product.title.trim()).find((one) => /[\p{L}\p{N}]/u.test(one)) ?? "·";
  return s(
    "svg",
    { class: "tile", viewBox: "0 0 100 100", preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true", "--hue": hue },
    s("rect", { width: 100, height: 100, class: "ground" }),
    s("g", { class: "lines" }, LINES[n % LINES.length](n >>> 8)),
    s("text", { x: 50, y: 52 }, letter.toUpperCase()),
  );
}

/** A product's picture in a box that has its size before the picture is there. */
export function picture(product, lazy = true) {
  const box = h("div", { class: "picture" }, tile(product));
  const address = safeImage(product.image);
  if (address) {
    const image = h("img", { alt: "", decoding: "async", referrerpolicy: "no-referrer", loading: lazy ? "lazy" : null });
    image.addEventListener("load", () => box.classList.add("seen"));
    image.addEventListener("error", () => image.remove());
    image.src = address;
    box.append(image);
  }
  return box;
}

/** A title with what matched marked. */
export const marked = (title, marks) =>
  cut(title, marks.map(([start, stop]) => ({ start, stop }))).map(([text, mark]) => (mark ? h("mark", {}, text) : text));

/** A price with its fraction set small; null where there is none. */
export function priceTag(value) {
  if (value === null || value === undefined) return null;
  const small = new Set(["currency", "decimal", "fraction"]);
  return h("span", { class: "price" }, priceParts(value).map((part) => (small.has(part.type) ? h("small", {}, part.value) : part.value)));
}

/** What the model did to a hit: places up or down where its rank before is known, else the rank that the model gives it. */
function judged(hit) {
  const { model, fused } = hit.found_by;
  if (!model) return null;
  if (!fused) return badge("", `${t("model_rank")} ${number(model.rank)}`, t("ranked", { n: model.rank }));
  const by = fused.rank - hit.position;
  if (!by) return null;
  return badge(by > 0 ? "up" : "down", `${by > 0 ? "▲" : "▼"} ${number(Math.abs(by))}`, t(by > 0 ? "moved_up" : "moved_down", { n: Math.abs(by) }));
}

const badge = (kind, text, long) => h("span", { class: `badge ${kind}`, title: long }, h("span", { "aria-hidden": "true" }, text), h("span", { class: "hidden" }, long));

/** How a hit was found and where the model put it. */
export function badges(hit) {
  const found = ["lexical", "dense"].filter((leg) => hit.found_by[leg]).map((leg) => badge(leg, t(leg), t(`${leg}_long`, { n: hit.found_by[leg].rank })));
  found.push(...[judged(hit)].filter(Boolean));
  return found.length ? h("span", { class: "badges" }, found) : null;
}

/** A result; `asked` is whether anything was, and `box` the picture of the same product where it was shown just now, so
 * that it does not flicker. */
export function card(hit, open, asked, box) {
  const { product } = hit;
  const link = h("a", { class: "title", href: `?item=${encodeURIComponent(product.id)}`, title: product.title }, h("bdi", {}, marked(product.title, hit.marks)));
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(product.id);
  });
  const why = () => h("button", { class: "why", type: "button", id: `why-${hit.position}`, "aria-label": t("why_of", { title: product.title }), onclick: () => open(product.id) }, t("why"));
  return h(
    "li",
    { class: "card", "data-id": product.id },
    box ?? picture(product, hit.position > 6),
    h("p", { class: "over" }, h("bdi", {}, product.brand ?? ""), h("bdi", {}, product.category.at(-1) ?? "")),
    h("h3", {}, link),
    h("div", { class: "foot" }, priceTag(product.price), badges(hit), asked ? why() : null),
  );
}
