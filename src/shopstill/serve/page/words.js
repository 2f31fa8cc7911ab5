// What the page says, in English and Chinese, and how it writes numbers.
import { $ } from "./dom.js";

const EN = {
  skip: "Skip to results", search: "Search", placeholder: "Search products", suggestions: "Suggestions", compare: "Compare", lab: "Lab", shop: "Shop",
  busy: "Searching", hero: "Say what you are looking for.", filters: "Filters", sort: "Sort", relevance: "Best match", price_asc: "Price, low first",
  price_desc: "Price, high first", active: "Active filters", results: "Results", more: "Show more", close: "Close",
  count: ["{n} product", "{n} products"], took: "{engine} ms in the engine, {all} ms to you", unfinished: "Time ran out: the best found so far",
  instead: "These are for “{s}”, in place of “{q}”.", mean: "Did you mean", none: "Nothing found for “{q}”", none_all: "No products here",
  none_hint: "Try fewer or other words.", none_filters: "The filters leave nothing.", clear: "Clear all filters", unreachable: "The server cannot be reached",
  wrong: "That did not work", again: "Try again", wait: "Much asked at the moment; trying again in {n} s",
  show: ["Show {n} product", "Show {n} products"], brand: "Brand", category: "Category", price: "Price", from: "From", to: "to", apply: "Apply",
  upto: "up to {b}", over: "{a} and more", all: "Show all {n}", fewer: "Show fewer", remove: "Remove {what}",
  completion: "search", product: "product", why: "Why?", why_of: "Why is {title} here?", lexical: "words", dense: "meaning",
  lexical_long: "Found by its words, number {n}", dense_long: "Found by its meaning, number {n}", model_rank: "model", ranked: "The model puts it at number {n}", moved_up: "The model moved it {n} up", moved_down: "The model moved it {n} down",
  score: "Score", model: "Model", in_query: "Words of the query", in_title: "Words of the title", in_attributes: "Attributes", details: "Details",
  scale: "How much the score falls without a word", scale_less: "pulls down", scale_more: "lifts", nothing: "Nothing to show here.", no_query: "Search for something to see why products are found.",
  similar: "Similar products", left: "Left model", right: "Right model", swap: "Swap", tau: "Kendall’s τ", tau_hint: "how far two orders agree: 1 the same, −1 reversed",
  shared: "of the first ten in both", only: "only here", same: "same place", compare_hint: "The same candidates, put in order by two models; filters are left aside.",
  compare_query: "Type a query to compare two models.", one_model: "Load two models to compare them.", place_of: "{n} there", took_model: "{n} ms", times: "{n} times as fast",
};

const ZH = {
  skip: "跳到搜索结果", search: "搜索", placeholder: "搜索商品", suggestions: "搜索建议", compare: "对比", lab: "实验室", shop: "商店",
  busy: "正在搜索", hero: "想找什么，说说看。", filters: "筛选", sort: "排序", relevance: "最相关", price_asc: "价格从低到高",
  price_desc: "价格从高到低", active: "已选条件", results: "搜索结果", more: "显示更多", close: "关闭",
  count: ["{n} 件商品", "{n} 件商品"], took: "引擎 {engine} 毫秒，往返共 {all} 毫秒", unfinished: "时间用完，先给出已找到的最佳结果",
  instead: "已按“{s}”搜索，而非“{q}”。", mean: "您要找的是不是", none: "没有找到“{q}”", none_all: "这里没有商品",
  none_hint: "试试更少或别的词。", none_filters: "没有符合筛选条件的商品。", clear: "清除全部筛选", unreachable: "无法连接服务器",
  wrong: "出错了", again: "重试", wait: "当前请求较多，{n} 秒后重试",
  show: ["显示 {n} 件商品", "显示 {n} 件商品"], brand: "品牌", category: "分类", price: "价格", from: "从", to: "到", apply: "应用",
  upto: "{b} 以下", over: "{a} 以上", all: "显示全部 {n} 项", fewer: "收起", remove: "移除 {what}",
  completion: "搜索", product: "商品", why: "为什么？", why_of: "为什么出现“{title}”？", lexical: "词语", dense: "语义",
  lexical_long: "按词语找到，第 {n} 名", dense_long: "按语义找到，第 {n} 名", model_rank: "模型", ranked: "模型排在第 {n} 名", moved_up: "模型上移 {n} 位", moved_down: "模型下移 {n} 位",
  score: "得分", model: "模型", in_query: "搜索词", in_title: "标题中的词", in_attributes: "属性", details: "详情",
  scale: "去掉一个词后得分下降多少", scale_less: "拉低", scale_more: "抬高", nothing: "没有可显示的内容。", no_query: "搜索后可查看商品出现的原因。",
  similar: "相似商品", left: "左侧模型", right: "右侧模型", swap: "互换", tau: "肯德尔 τ", tau_hint: "两种排序的一致程度：1 相同，−1 相反",
  shared: "前十名中两边共有", only: "仅此处有", same: "位置相同", compare_hint: "同一批候选商品由两个模型排序，不应用筛选。",
  compare_query: "输入搜索词以对比两个模型。", one_model: "加载两个模型后即可对比。", place_of: "对侧第 {n}", took_model: "{n} 毫秒", times: "快 {n} 倍",
};

const WORDS = { en: EN, zh: ZH };
const KEPT = "shopstill-language";
let language = kept() ?? (/^zh/i.test(navigator.language) ? "zh" : "en");

function kept() {
  try {
    const value = localStorage.getItem(KEPT);
    return value in WORDS ? value : null;
  } catch {
    return null; // Storage is switched off.
  }
}

const locale = () => {
  const same = navigator.languages.find((one) => one.slice(0, 2) === language);
  return same ?? (language === "zh" ? "zh-CN" : "en-GB");
};

/** More to say, for a page that has more. */
export const say = (more) => Object.entries(more).forEach(([name, words]) => Object.assign(WORDS[name], words));

/** A text in the language of the page; `{name}` is filled in, and `n` chooses between one and many. */
export function t(key, given = {}) {
  let text = WORDS[language][key] ?? key;
  if (Array.isArray(text)) text = text[given.n === 1 ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof given[name] === "number" ? number(given[name]) : given[name]));
}

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);

export const signed = (value, digits = 2) =>
  new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "exceptZero" }).format(value);

/** Milliseconds: a digit more where they are few. */
export const ms = (value) => number(value, value < 10 ? 1 : 0);

/** A price in the shop's currency, in parts as `Intl` names them. */
export function priceParts(value) {
  const currency = $("meta[name=currency]")?.content;
  const digits = Number.isInteger(value) ? 0 : 2;
  const style = currency ? { style: "currency", currency, currencyDisplay: "narrowSymbol" } : {};
  return new Intl.NumberFormat(locale(), { ...style, minimumFractionDigits: digits, maximumFractionDigits: 2 }).formatToParts(value);
}

/** A name of a column as a person would write it. */
export function human(name) {
  const words = name.replace(/^attr_[a-z]_/, "").replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export const price = (value) => priceParts(value).map((part) => part.value).join("");

/** Say everything that is marked in the page in its language. */
export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label));
  for (const element of document.querySelectorAll("[data-placeholder]")) element.placeholder = t(element.dataset.placeholder);
  const other = language === "zh" ? ["en", "English"] : ["zh-CN", "中文"];
  const name = $("#language span");
  [name.lang, name.textContent] = other;
}

/** Let the switch in the header change the language; `then` draws anew what was drawn. */
export function switchable(then) {
  translate();
  $("#language").addEventListener("click", () => {
    language = language === "zh" ? "en" : "zh";
    try {
      localStorage.setItem(KEPT, language);
    } catch {
      // It lasts as long as the page then.
    }
    translate();
    then();
  });
}
