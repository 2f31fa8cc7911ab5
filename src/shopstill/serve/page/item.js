// A product by itself: why it is here (words and attributes by what they do to the score), details, and what is like it.
import { models, newest } from "./api.js";
import { badges, picture, priceTag } from "./card.js";
import { $, cut, h, set } from "./dom.js";
import { human, number, signed, t } from "./words.js";

const dialog = $("#item");
const product = newest();
const why = newest();
const like = newest();
let model = "";

/** Show a product; `open` is given the id of another one to show, `hit` what is known already. */
export async function showItem(id, query, open, hit = null) {
  draw(hit?.product ?? { id, title: "", category: [], attributes: {} }, query, open, hit);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  try {
    const whole = await product(`products/${encodeURIComponent(id)}`);
    draw(whole, query, open, hit);
    await Promise.all([explain(whole, query), alike(whole, open)]);
  } catch (error) {
    if (error.name !== "AbortError") set($(".about", dialog), h("p", { class: "notice", role: "alert" }, error.message || t("unreachable")));
  }
}

/** Let the dialog be closed by its button, by Escape and by a click beside it; `then` is told. */
export function closable(then) {
  dialog.addEventListener("close", then);
  dialog.addEventListener("click", (event) => (event.target === dialog || event.target.closest(".close")) && dialog.close());
}

/** Close it, if it is open. */
export const closeItem = () => dialog.open && dialog.close();

function draw(one, query, open, hit) {
  const old = dialog.dataset.id === one.id && $(".picture", dialog);
  dialog.dataset.id = one.title ? one.id : ""; // A picture drawn without a title is not one to keep.
  set(
    dialog,
    h("button", { class: "close", type: "button", "aria-label": t("close"), autofocus: true }, "×"),
    h(
      "div",
      { class: "head" },
      old || picture(one, false),
      h(
        "div",
        {},
        h("p", { class: "over" }, h("bdi", {}, one.brand ?? ""), h("bdi", {}, one.category.join(" › "))),
        h("h2", { id: "item-title" }, h("bdi", {}, one.title || "…")),
        h("p", { class: "foot" }, priceTag(one.price), hit && badges(hit)),
        one.description ? h("p", { class: "description" }, h("bdi", {}, one.description)) : null,
      ),
    ),
    h("div", { class: "about" }, h("section", { id: "why", "aria-live": "polite" }, query ? null : h("p", { class: "soft" }, t("no_query")))),
    details(one),
    h("section", { id: "similar" }),
  );
}

function details(one) {
  const rows = Object.entries(one.attributes);
  if (!rows.length) return null;
  return h("details", {}, h("summary", {}, t("details")), h("dl", {}, rows.map(([name, value]) => h("div", {}, h("dt", {}, h("bdi", {}, human(name))), h("dd", {}, h("bdi", {}, value))))));
}

async function explain(one, query) {
  if (!query) return;
  const [said, loaded] = await Promise.all([why("why", { params: { q: query, id: one.id, model: model || null } }), models()]);
  const most = Math.max(...[...said.query, ...said.title, ...said.attributes].map((word) => Math.abs(word.effect)), 1e-9);
  const choice = h("select", { "aria-label": t("model"), onchange: (event) => ((model = event.target.value), explain(one, query)) }, loaded.map((each) => h("option", { value: each.name, selected: each.name === said.model }, each.name)));
  set(
    $("#why", dialog),
    h("header", { class: "verdict" }, h("h3", {}, t("why")), h("p", {}, `${t("score")} `, h("b", {}, number(said.score, 3)), " · ", loaded.length > 1 ? choice : h("bdi", {}, said.model))),
    effects(t("in_query"), query, said.query, most),
    effects(t("in_title"), one.title, said.title, most),
    attributes(said.attributes, most),
    h("p", { class: "scale" }, h("span", {}, `− ${t("scale_less")}`), h("i", { "aria-hidden": "true" }), h("span", {}, `+ ${t("scale_more")}`), h("small", {}, t("scale"))),
  );
}

// What is written as nothing is not coloured as something.
const side = (effect) => (Math.abs(effect) < 0.005 ? "" : effect > 0 ? "lifts" : "pulls");

/** A text whose words are coloured by what they do, with the sign and value below each. */
function effects(label, text, words, most) {
  // A model may read more than the title: then its words stand one after another.
  const letters = Array.from(text);
  const fits = words.every((word) => letters.slice(word.start, word.stop).join("") === word.text);
  const shown = (fits ? cut(text, words) : words.map((word) => [word.text, word])).map(([piece, word]) => {
    if (!word) return piece;
    return h("span", { class: `effect ${side(word.effect)}`, "--much": Math.abs(word.effect) / most }, h("bdi", {}, piece), h("small", {}, signed(word.effect)));
  });
  return h("div", { class: "effects" }, h("h4", {}, label), h("p", {}, shown.length ? shown : t("nothing")));
}

function attributes(words, most) {
  if (!words.length) return null;
  const rows = [...words].sort((one, other) => Math.abs(other.effect) - Math.abs(one.effect));
  return h("div", { class: "effects" }, h("h4", {}, t("in_attributes")), h("ul", {}, rows.map((word) => h("li", { class: side(word.effect), "--much": Math.abs(word.effect) / most }, h("bdi", {}, word.text.startsWith("attr_") ? human(word.text) : word.text), h("i", { "aria-hidden": "true" }), h("small", {}, signed(word.effect))))));
}

async function alike(one, open) {
  const said = await like(`similar/${encodeURIComponent(one.id)}`, { params: { limit: 12 } });
  if (!said.hits.length) return;
  const rows = said.hits.map((hit) => h("li", {}, h("button", { type: "button", onclick: () => open(hit.product.id) }, picture(hit.product), h("span", { class: "title" }, h("bdi", {}, hit.product.title)), priceTag(hit.product.price))));
  set($("#similar", dialog), h("h3", {}, t("similar")), h("ul", { class: "shelf" }, rows));
}
