// Charts as SVG, each with its figures in a table for who cannot see it or wants to copy them.
import { h, s } from "./dom.js";
import { ms, number, t } from "./words.js";

const ROW = 34;

/** Sizes in pixels, so that letters are as large on a phone as on a desk. */
const sizes = () => {
  const width = Math.max(300, Math.min(1080, document.querySelector("main").clientWidth - 32));
  return { width, left: width < 560 ? 112 : 190, right: 70 };
};

/** A chart, described in a sentence, and its table. */
function figure(label, height, drawn, head, rows) {
  const chart = s("svg", { viewBox: `0 0 ${sizes().width} ${height}`, role: "img", "aria-label": label, class: "chart" }, drawn);
  const cells = (row) => row.map((cell, i) => (i ? h("td", {}, cell) : h("th", { scope: "row" }, h("bdi", {}, cell))));
  const table = h("table", {}, h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows.map((row) => h("tr", {}, cells(row)))));
  return h("figure", {}, chart, h("details", { "data-keep": head[0] }, h("summary", {}, t("table")), h("div", { class: "scroll" }, table)));
}

/** A round number at or above a value: 1, 2, 4, 6 or 8 times a power of ten. */
function round(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-3)));
  return power * [1, 2, 4, 6, 8, 10].find((times) => times * power >= value * 0.999);
}

/** Where a part of the whole stands, from the left. */
const across = (part) => sizes().left + part * (sizes().width - sizes().left - sizes().right);

function grid(top, height, format) {
  const x = across;
  return [0, 0.25, 0.5, 0.75, 1].map((part) => s("g", { class: "grid" }, s("line", { x1: x(part), x2: x(part), y1: 4, y2: height - 24 }), s("text", { x: x(part), y: height - 6, "text-anchor": "middle" }, format(top * part))));
}

const name = (text, y) => s("text", { x: sizes().left - 12, y, "text-anchor": "end", "dominant-baseline": "central" }, text.length > sizes().left / 8 ? `${text.slice(0, sizes().left / 8 - 1)}…` : text);

/** Bars of p50, p95 and p99 for each stage: `{stage: {p50, p95, p99}}`. */
export function latencyChart(stages) {
  const rows = Object.entries(stages).sort(([one, a], [other, b]) => (other === "total") - (one === "total") || b.p99 - a.p99);
  const height = rows.length * ROW + 36;
  const top = round(Math.max(...rows.map(([, one]) => one.p99), 0.01));
  const left = across(0);
  const long = (value) => across(Math.min(value, top) / top) - left;
  const bars = rows.map(([stage, one], i) => {
    const y = i * ROW + 8;
    return s(
      "g",
      { class: stage === "total" ? "whole" : "" },
      name(t(`stage_${stage}`) === `stage_${stage}` ? stage : t(`stage_${stage}`), y + 10),
      s("rect", { class: "p99", x: left, y: y + 7, width: long(one.p99), height: 6 }),
      s("rect", { class: "p95", x: left, y: y + 4, width: long(one.p95), height: 12 }),
      s("rect", { class: "p50", x: left, y, width: Math.max(long(one.p50), 1), height: 20, rx: 2 }),
      s("text", { x: left + long(one.p99) + 10, y: y + 11, "dominant-baseline": "central" }, ms(one.p99)),
    );
  });
  const said = rows.map(([stage, one]) => `${stage} ${ms(one.p50)} / ${ms(one.p95)} / ${ms(one.p99)}`).join("; ");
  return figure(`${t("latency")}, p50 / p95 / p99, ${t("ms")}: ${said}`, height, [grid(top, height, (value) => number(value, 2)), bars], [t("stage"), "p50", "p95", "p99"], rows.map(([stage, one]) => [stage, ms(one.p50), ms(one.p95), ms(one.p99)]));
}

/** A line of requests a second as this page saw them. */
export function rateChart(rates) {
  const height = 150;
  const top = round(Math.max(...rates, 1));
  const { width } = sizes();
  const x = (i) => 48 + (i * (width - 56)) / 59;
  const y = (value) => height - 26 - (value / top) * (height - 44);
  const line = rates.map((value, i) => `${i ? "L" : "M"}${x(60 - rates.length + i).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const from = x(60 - rates.length);
  const levels = [0, 0.5, 1].map((part) => s("g", { class: "grid" }, s("line", { x1: 48, x2: width - 8, y1: y(top * part), y2: y(top * part) }), s("text", { x: 38, y: y(top * part), "text-anchor": "end", "dominant-baseline": "central" }, number(top * part, 1))));
  const drawn = [levels, s("path", { class: "under", d: `${line}L${x(59)} ${y(0)}L${from} ${y(0)}z` }), s("path", { class: "rate", d: line })];
  return figure(`${t("load")}: ${number(rates.at(-1), 1)} ${t("per_s")}`, height, drawn, [t("ago"), t("per_s")], rates.map((rate, i) => [`${(rates.length - 1 - i) * 2} s`, number(rate, 1)]).reverse().slice(0, 15));
}

/** Part of the first ten that is shared, and tau, for each slice, with the line at which the alarm sounds. */
export function agreementChart(slices, threshold) {
  const rows = Object.entries(slices).sort(([, one], [, other]) => other.n - one.n);
  const height = rows.length * ROW + 52;
  const x = (value) => across(Math.max(0, Math.min(1, value)));
  const dots = rows.map(([slice, one], i) => {
    const y = i * ROW + 36;
    return s(
      "g",
      { class: one.top10 < threshold ? "low" : "" },
      name(slice, y),
      s("line", { class: "stem", x1: across(0), x2: x(one.top10), y1: y, y2: y }),
      s("circle", { class: "top10", cx: x(one.top10), cy: y, r: 8 }),
      one.tau === null || one.tau === undefined ? [] : s("path", { class: "tau", d: `M${x(one.tau)} ${y - 9}l9 9l-9 9l-9-9z` }),
      s("text", { x: across(1) + 14, y, "dominant-baseline": "central" }, one.top10 < threshold ? `${number(one.top10, 2)} !` : number(one.top10, 2)),
    );
  });
  const alarm = s("g", { class: "alarm" }, s("line", { x1: x(threshold), x2: x(threshold), y1: 18, y2: height - 24 }), s("text", { x: x(threshold), y: 10, "text-anchor": "middle" }, `${t("alarm_at")} ${number(threshold, 2)}`));
  const said = rows.map(([slice, one]) => `${slice} ${number(one.top10, 2)}`).join("; ");
  return figure(`${t("shadow")}, ${t("top10")}: ${said}`, height, [grid(1, height, (value) => number(value, 2)), alarm, dots], [t("slice"), "n", t("top10"), "τ"], rows.map(([slice, one]) => [slice, number(one.n), number(one.top10, 3), one.tau === null || one.tau === undefined ? "–" : number(one.tau, 3)]));
}
