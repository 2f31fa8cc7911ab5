// Products as cards: text is only ever text, and a picture that does not come is drawn.

import { picture, priceTag } from "./card.js";
import { h } from "./dom.js";

/** A title with the words of the query marked, at the beginnings of its own words; Chinese characters anywhere. */
function marked(title, query) {
  const words = query.match(/[\p{Script=Han}]+|[\p{L}\p{N}]+/gu) ?? [];
  if (!words.length) return [title];
  const parts = words.sort((one, other) => other.length - one.length).map((word) => (/\p{Script=Han}/u.test(word) ? word : `(?<![\\p{L}\\p{N}])${word}`));
  const found = new RegExp(parts.join("|"), "giu");
  const pieces = [];
  let at = 0;
  for (const hit of title.matchAll(found)) {
    pieces.push(title.slice(at, hit.index), h("mark", {}, hit[0]));
    at = hit.index + hit[0].length;
  }
  return [...pieces, title.slice(at)];
}

/** A result; `box` is the picture of the same product where it was shown just now, so that it does not flicker. */
export const card = (hit, query, box) =>
  h(
    "li",
    { class: "card", "data-id": hit.id },
    box ?? picture(hit, hit.position > 8),
    h(
      "div",
      { class: "words" },
      hit.brand ? h("p", { class: "brand" }, h("bdi", {}, hit.brand)) : null,
      h("h2", { title: hit.title }, h("bdi", {}, marked(hit.title, query))),
      hit.price === null ? null : h("p", { class: "foot" }, priceTag(hit.price)),
    ),
  );
