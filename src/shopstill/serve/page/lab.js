// The lab: what the server does right now, its models, how far a shadow disagrees, and the report of the run.
import { ask } from "./api.js";
import { agreementChart, latencyChart, rateChart } from "./charts.js";
import { $, h, ROOT, set } from "./dom.js";
import { number, say, switchable, t } from "./words.js";

const EVERY_MS = 2000;
const KEPT = "shopstill-key";

say({
  en: {
    skip_lab: "Skip to the figures", lab_title: "What it does right now", live: "Live", paused: "Paused", latency: "Latency by stage", load: "Requests", models: "Models", key: "API key",
    key_hint: "The key stays in this tab and is forgotten when it is closed.", rollback: "Roll back", shadow: "Shadow", report: "The run’s report", table: "As a table", stage: "Stage", ms: "ms",
    stage_total: "all of it", stage_lexical: "by words", stage_dense: "by meaning", stage_rerank: "the model’s order", stage_facets: "facets", stage_fuse: "fusion", stage_spelling: "spelling", stage_documents: "documents",
    per_s: "a second", ago: "ago", slice: "Slice", top10: "shared of the first ten", alarm_at: "alarm below", products: "products", generation: "generation of the index", pending: "changes not in it yet", index_bytes: "index on disk", rate: "requests a second", errors: "errors in the last minute", refused: "refused in the last minute",
    last: ["of the last answer", "of the last {n} answers"], quiet: "Nothing was searched yet.", name: "Name", kind: "Kind", role: "Role", scheme: "Arithmetic", size: "Size", digest: "Digest", state: "State", active: "active", before: "before", retrieves: "finds and orders", orders: "orders", activate: "Activate",
    done: "{name} answers now.", no_shadow: "No model runs in the shadow.", sampled: "{name} scored {n} searches beside the active model; {dropped} were dropped.", calm: "No alarm", alarm: "Alarm: too little is shared", no_report: "No report was given to this server.", open_report: "Open the report by itself", unreachable: "The server cannot be reached; trying again.",
  },
  zh: {
    skip_lab: "跳到数据", lab_title: "实时状态", live: "实时", paused: "已暂停", latency: "各阶段延迟", load: "请求", models: "模型", key: "API 密钥",
    key_hint: "密钥只保存在本标签页，关闭后即清除。", rollback: "回滚", shadow: "影子模型", report: "本次运行的报告", table: "以表格查看", stage: "阶段", ms: "毫秒",
    stage_total: "总计", stage_lexical: "按词语", stage_dense: "按语义", stage_rerank: "模型排序", stage_facets: "分面", stage_fuse: "融合", stage_spelling: "拼写", stage_documents: "文档",
    per_s: "每秒", ago: "之前", slice: "切片", top10: "前十名共有比例", alarm_at: "警戒线", products: "件商品", generation: "索引版本", pending: "项变更尚未并入", index_bytes: "索引大小", rate: "每秒请求", errors: "最近一分钟错误", refused: "最近一分钟被拒",
    last: ["最近 {n} 次回答", "最近 {n} 次回答"], quiet: "还没有搜索。", name: "名称", kind: "类型", role: "作用", scheme: "数值格式", size: "大小", digest: "摘要", state: "状态", active: "使用中", before: "上一个", retrieves: "召回并排序", orders: "排序", activate: "启用",
    done: "现在由 {name} 回答。", no_shadow: "没有影子模型在运行。", sampled: "{name} 与当前模型并行评分 {n} 次搜索，丢弃 {dropped} 次。", calm: "无警报", alarm: "警报：共有比例过低", no_report: "此服务器没有报告。", open_report: "单独打开报告", unreachable: "无法连接服务器，正在重试。",
  },
});

const rates = [];
let last = null;
let loaded = [];
let live = true;

// --------------------------------------------------------------------------------------------------------- watching

async function look() {
  try {
    last = await ask("lab/state", { key: $("#key").value });
    if (changed(last.facts)) loaded = (await ask("models")).models;
    rates.push(last.now.requests_per_s);
    if (rates.length > 60) rates.shift();
    $("#fault").hidden = true;
    draw();
  } catch (error) {
    $("#fault").hidden = false;
    $("#fault").textContent = error.message || t("unreachable");
  }
}

async function watch() {
  if (live && !document.hidden) await look();
  setTimeout(watch, EVERY_MS);
}

/** Whether the models are other ones than those that were told of. */
const changed = (facts) => facts.models.length !== loaded.length || loaded.find((one) => one.active)?.name !== facts.active;

const count = (from, to) => Object.entries(last.now.statuses).reduce((sum, [status, n]) => sum + (status >= from && status <= to ? n : 0), 0);

// ---------------------------------------------------------------------------------------------------------- drawing

/** Put something in a place unless somebody reads there: a table that was opened stays open. */
function place(selector, ...children) {
  const where = $(selector);
  const open = new Set([...where.querySelectorAll("details[open]")].map((one) => one.dataset.keep));
  const focused = where.contains(document.activeElement) && document.activeElement !== where;
  if (focused && document.activeElement.closest("summary, button")) return;
  set(where, children);
  for (const one of where.querySelectorAll("details")) one.open = open.has(one.dataset.keep);
}

function draw() {
  if (!last) return;
  const stages = last.now.stages_ms;
  figures();
  $("#latency-note").textContent = last.now.answers ? t("last", { n: last.now.answers }) : "";
  place("#latency", Object.keys(stages).length ? [legend(), latencyChart(stages)] : h("p", {}, t("quiet")));
  place("#load", rateChart(rates));
  drawModels(loaded);
  drawShadow(last.disagreement);
  drawReport();
}

const legend = () => h("p", { class: "legend", "aria-hidden": "true" }, ["p50", "p95", "p99"].map((part) => h("span", {}, h("i", { class: part }), part)));

function figures() {
  const { facts } = last;
  const figure = (key, value, bad = false) => h("div", { class: bad ? "bad" : "" }, h("dd", {}, value), h("dt", {}, t(key)));
  const failed = count("500", "599") - count("503", "503");
  set($("#figures"), [
    figure("products", number(facts.products)),
    figure("rate", number(rates.at(-1) ?? 0, 1)),
    figure("errors", number(failed), failed > 0),
    figure("refused", number(count("429", "429") + count("503", "503"))),
    figure("pending", number(facts.pending)),
    figure("index_bytes", bytes(facts.index_bytes)),
    figure("generation", facts.generation.replace(/^generation-0*/, "")),
  ]);
}

function bytes(value) {
  const step = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), 3);
  return `${number(value / 1000 ** step, step > 1 ? 1 : 0)} ${["B", "kB", "MB", "GB"][step]}`;
}

function drawModels(models) {
  const state = (one) => (one.active ? h("b", { class: "state" }, `● ${t("active")}`) : one.previous ? t("before") : h("button", { class: "button", type: "button", onclick: () => act(`models/${encodeURIComponent(one.name)}/activate`) }, t("activate")));
  const row = (one) => h("tr", {}, h("th", { scope: "row" }, h("bdi", {}, one.name)), h("td", {}, state(one)), h("td", {}, bytes(one.bytes)), h("td", {}, t(one.retrieves ? "retrieves" : "orders")), h("td", {}, one.kind), h("td", {}, one.scheme), h("td", {}, h("code", {}, one.digest.slice(0, 12))));
  const head = ["name", "state", "size", "role", "kind", "scheme", "digest"].map((key) => h("th", { scope: "col" }, t(key)));
  place("#models", h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, models.map(row))));
  $("#rollback").disabled = !models.some((one) => one.previous);
}

function drawShadow(said) {
  const note = $("#shadow-note");
  if (!said?.model) {
    note.textContent = t("no_shadow");
    return set($("#shadow"));
  }
  set(note, h("b", { class: said.alarm ? "state bad" : "state" }, said.alarm ? `▲ ${t("alarm")}` : `● ${t("calm")}`), ` ${t("sampled", { name: said.model, n: said.sampled, dropped: said.dropped })}`);
  const key = h("p", { class: "legend", "aria-hidden": "true" }, h("span", {}, h("i", { class: "top10" }), t("top10")), h("span", {}, h("i", { class: "tau" }), "τ"));
  if (Object.keys(said.slices).length) place("#shadow", key, agreementChart(said.slices, said.threshold));
}

function drawReport() {
  const url = new URL("lab/report", ROOT).href;
  const state = String(last.report);
  if ($("#frame").dataset.given === state) return;
  $("#frame").dataset.given = state;
  set(
    $("#frame"),
    last.report
      ? [h("p", {}, h("a", { href: url, target: "_blank", rel: "noopener", "data-t": "open_report" }, t("open_report"))), h("iframe", { src: url, title: t("report"), loading: "lazy", sandbox: "allow-scripts allow-popups" })]
      : h("p", { class: "soft", "data-t": "no_report" }, t("no_report")),
  );
}

// ----------------------------------------------------------------------------------------------------------- acting

async function act(path) {
  const said = $("#said");
  said.className = "";
  try {
    const state = await ask(path, { method: "POST", key: $("#key").value || null });
    said.textContent = t("done", { name: state.name });
    document.activeElement?.blur();
    await look();
  } catch (error) {
    said.className = "bad";
    said.textContent = error.message || t("unreachable");
  }
}

function keep(event) {
  try {
    sessionStorage.setItem(KEPT, event.target.value);
  } catch {
    // It lasts as long as the page then.
  }
}

function kept() {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

const liveness = () => ($("#live span").textContent = t(live ? "live" : "paused"));

$("#key").value = kept();
$("#key").addEventListener("input", keep);
$("#keys").addEventListener("submit", (event) => event.preventDefault());
$("#rollback").addEventListener("click", () => act("models/rollback"));
$("#live").addEventListener("click", () => {
  live = !live;
  $("#live").setAttribute("aria-pressed", String(live));
  liveness();
});
switchable(() => {
  liveness();
  draw();
});
watch();
