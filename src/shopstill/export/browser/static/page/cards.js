// Products as cards: text is only ever text, and a picture that does not come is drawn.

import { price, t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

function element(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawn(tag, given = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function numberOf(text) {
  let value = 2166136261;
  for (const letter of text) value = Math.imul(value ^ letter.codePointAt(0), 16777619);
  return (value ^ (value >>> 15)) >>> 0;
}

const LINES = [
  (n) => [18, 34, 50, 66, 82].map((r) => drawn("circle", { cx: (n % 2) * 100, cy: (n % 3) * 50, r })),
  (n) => [20, 36, 52, 68, 84].map((y) => drawn("path", { d: `M0 ${y}c25-${10 + (n % 12)} 25 ${10 + (n % 12)} 50 0s25 ${10 + (n % 12)} 50 0` })),
  (n) => [0, 1, 2].map((i) => drawn("rect", { x: 14 + i * 12, y: 14 + i * 12, width: 72 - i * 24, height: 72 - i * 24, rx: 2 + (n % 5) * 3 })),
  () => Array.from({ length: 9 }, (_, i) => drawn("path", { d: `M${i * 22 - 60} 100l100-100` })),
];

/** A picture drawn from a product's words: its brand gives the colour, its title the lines and the letter. */
function tile(product) {
  const n = numberOf(product.title);
  const letter = [...product.title].find((one) => /[\p{L}\p{N}]/u.test(one)) ?? "·";
  const text = drawn("text", { x: 50, y: 51 });
  text.textContent = letter.toUpperCase();
  const box = { class: "tile", viewBox: "0 0 100 100", preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" };
  const lines = LINES[n % LINES.length](n >>> 8);
  const svg = drawn("svg", box, drawn("rect", { class: "ground", width: 100, height: 100 }), drawn("g", { class: "lines" }, ...lines), text);
  svg.style.setProperty("--hue", (numberOf(product.brand || product.title) % 12) * 30);
  return svg;
}

function address(image) {
  if (!image) return null;
  if (/^data:image\//i.test(image)) return image;
  try {
    const url = new URL(image.replace(/^http:\/\//i, "https://"), document.baseURI);
    return url.protocol === "https:" || url.origin === location.origin ? url.href : null;
  } catch {
    return null;
  }
}

function picture(product, lazy) {
  const box = element("div", { class: "picture" }, tile(product));
  const from = address(product.image);
  if (from) {
    const image = element("img", { alt: "", decoding: "async", referrerpolicy: "no-referrer", ...(lazy ? { loading: "lazy" } : {}) });
    image.addEventListener("load", () => box.classList.add("seen"));
    image.addEventListener("error", () => image.remove());
    image.src = from;
    box.append(image);
  }
  return box;
}

/** A title with the words of the query marked, at the beginnings of its own words; Chinese characters anywhere. */
function marked(title, query) {
  const words = query.match(/[\p{Script=Han}]+|[\p{L}\p{N}]+/gu) ?? [];
  if (!words.length) return [title];
  const parts = words.sort((one, other) => other.length - one.length).map((word) => (/\p{Script=Han}/u.test(word) ? word : `(?<![\\p{L}\\p{N}])${word}`));
  const found = new RegExp(parts.join("|"), "giu");
  const pieces = [];
  let at = 0;
  for (const hit of title.matchAll(found)) {
    pieces.push(title.slice(at, hit.index), element("mark", {}, hit[0]));
    at = hit.index + hit[0].length;
  }
  return [...pieces, title.slice(at)];
}

function card(hit, query) {
  const words = element("div", { class: "words" });
  if (hit.brand) words.append(element("p", { class: "brand" }, element("bdi", {}, hit.brand)));
  words.append(element("h2", { title: hit.title }, element("bdi", {}, ...marked(hit.title, query))));
  if (hit.price !== null && hit.price !== undefined) words.append(element("p", { class: "price" }, price(hit.price)));
  return element("li", { class: "card", "data-id": hit.id }, picture(hit, hit.position > 8), words);
}

/** Show products in place of what is shown. */
export function show(grid, hits, query) {
  grid.replaceChildren(...(hits.length ? hits.map((hit) => card(hit, query)) : [element("li", { class: "none" }, t("none"))]));
}
