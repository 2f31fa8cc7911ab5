// Elements made from values: text is only ever text, and an address is held to https, data and our own.

export const ROOT = new URL("../", import.meta.url);

export const $ = (selector, within = document) => within.querySelector(selector);

/** An element: `h("p", {class: "note", onclick: go}, "text", child)`; null and false leave out what they stand for. */
export const h = (tag, given = {}, ...children) => fill(document.createElement(tag), given, children);

/** The same for SVG. */
export const s = (tag, given = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), given, children);

function fill(element, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Put children in place of what is there. */
export const set = (element, ...children) => element.replaceChildren(...children.flat(Infinity).filter(Boolean));

/** A picture's address if it may be asked for, else null. What is only http is asked for over https. */
export function safeImage(address) {
  if (!address) return null;
  if (/^data:image\//i.test(address)) return address;
  try {
    const url = new URL(address.replace(/^http:\/\//i, "https://"), ROOT);
    return url.protocol === "https:" || url.origin === location.origin ? url.href : null;
  } catch {
    return null;
  }
}

/** Text cut at places counted in characters as Python counts them: a list of [piece, which place or null]. */
export function cut(text, places) {
  const letters = Array.from(text);
  const pieces = [];
  let at = 0;
  [...places].sort((one, other) => one.start - other.start).forEach((place) => {
    if (place.start < at) return;
    if (place.start > at) pieces.push([letters.slice(at, place.start).join(""), null]);
    pieces.push([letters.slice(place.start, place.stop).join(""), place]);
    at = place.stop;
  });
  if (at < letters.length) pieces.push([letters.slice(at).join(""), null]);
  return pieces;
}
