// Ways to go on typing: a combobox as the ARIA practices have it.
// https://www.w3.org/WAI/ARIA/apg/patterns/combobox/
import { newest } from "./api.js";
import { $, h, set } from "./dom.js";
import { number, t } from "./words.js";

/** Let the search box suggest; `choose` is given what was chosen. */
export function suggesting(choose) {
  const box = $("#q");
  const list = $("#suggestions");
  const ask = newest();
  let found = [];
  let at = -1;

  const close = () => {
    found = [];
    at = -1;
    list.hidden = true;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  };

  const point = (to) => {
    at = to;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    if (at < 0) box.removeAttribute("aria-activedescendant");
    else box.setAttribute("aria-activedescendant", list.children[at].id);
  };

  const take = (i) => {
    const chosen = found[i];
    close();
    choose(chosen);
  };

  const show = () => {
    const typed = box.value.trim().toLowerCase();
    set(list, found.map((one, i) => h("li", { id: `suggestion-${i}`, role: "option", "aria-selected": "false", onmousedown: (event) => event.preventDefault(), onclick: () => take(i) }, h("bdi", { class: "text" }, bolder(one.kind === "category" ? one.text.replaceAll(" > ", " › ") : one.text, typed)), h("small", {}, label(one)))));
    list.hidden = !found.length;
    box.setAttribute("aria-expanded", String(found.length > 0));
    point(-1);
  };

  const look = async () => {
    const typed = box.value.trim();
    if (!typed) return close();
    try {
      const said = await ask("suggest", { params: { q: box.value, limit: 8 } });
      if (document.activeElement !== box || box.value.trim() !== typed) return;
      found = said.suggestions.filter((one) => one.kind !== "completion" || one.text.toLowerCase() !== typed.toLowerCase());
      show();
    } catch {
      close(); // Typing goes on without suggestions.
    }
  };

  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || list.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      point(((at + 1 + step + found.length + 1) % (found.length + 1)) - 1);
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      take(at);
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
  });
  return { look, close };
}

/** What was not typed yet stands out. */
function bolder(text, typed) {
  return text.toLowerCase().startsWith(typed) ? [text.slice(0, typed.length), h("b", {}, text.slice(typed.length))] : [text];
}

function label(one) {
  if (one.kind === "product") return t("product");
  return one.kind === "completion" ? number(one.count) : `${t(one.kind)} · ${number(one.count)}`;
}
