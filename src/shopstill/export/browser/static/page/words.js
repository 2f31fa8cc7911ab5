// What the page says, in English and Chinese, and how it writes numbers.

const WORDS = {
  en: {
    title: "The whole shop is in this tab.", search: "Search", placeholder: "Try a product", skip: "Skip to results", install: "Install",
    about: "What is in this tab", privacy: "Nothing that you type leaves this device. Pictures come from the shop, where there is a network.",
    results: "Results", first: "Products", products: ["{n} product", "{n} products"], student: "student {n} MB", time: "answered in {n} ms",
    offline: "works offline", saving: "saving for offline …", online: "needs the network here", loading: "Loading", none: "Nothing found.",
    said: ["{n} result for {q}", "{n} results for {q}"], instead: "These are for “{s}”, in place of “{q}”.", broken: "The student could not be loaded: {why}. Reload the page.",
    size_student: "The student that searches", size_catalogue: "The catalogue and its vectors", size_all: "Everything", model: "Model",
    unsafe: "This address is not secure, so the browser keeps nothing: use HTTPS or localhost.", mb: "{n} MB",
  },
  zh: {
    title: "整个商店，就在这个标签页里。", search: "搜索", placeholder: "搜索商品", skip: "跳到搜索结果", install: "安装",
    about: "这个标签页里有什么", privacy: "您输入的内容不会离开本设备。有网络时，图片来自商店。",
    results: "搜索结果", first: "商品", products: ["{n} 件商品", "{n} 件商品"], student: "模型 {n} MB", time: "{n} 毫秒内回答",
    offline: "可离线使用", saving: "正在保存以供离线使用…", online: "此处需要网络", loading: "正在加载", none: "没有找到商品。",
    said: ["{q}：{n} 个结果", "{q}：{n} 个结果"], instead: "已按“{s}”搜索，而非“{q}”。", broken: "模型加载失败：{why}。请刷新页面。",
    size_student: "负责搜索的模型", size_catalogue: "商品目录与向量", size_all: "全部", model: "模型",
    unsafe: "此地址不安全，浏览器不会保存内容：请使用 HTTPS 或 localhost。", mb: "{n} MB",
  },
};
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

export const spoken = () => language;

/** What is said under a name, with values put in; where there are two forms, `n` chooses. */
export function t(name, values = {}) {
  const found = WORDS[language][name];
  const text = Array.isArray(found) ? found[values.n === 1 ? 0 : 1] : found;
  return text.replace(/\{(\w+)\}/g, (_, key) => (typeof values[key] === "number" ? number(values[key]) : values[key]));
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(language === "zh" ? "zh-CN" : "en", { maximumFractionDigits: digits }).format(value);
}

export const price = (value) =>
  new Intl.NumberFormat(language === "zh" ? "zh-CN" : "en", { minimumFractionDigits: Number.isInteger(value) ? 0 : 2, maximumFractionDigits: 2 }).format(value);

export const megabytes = (bytes) => number(bytes / 1e6, 1);

/** Speak the other language, and say everything on the page again. */
export function turn() {
  language = language === "en" ? "zh" : "en";
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // It is chosen again next time.
  }
  dress();
}

export function dress() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  document.querySelector("#q").placeholder = t("placeholder");
  document.querySelector("#progress").setAttribute("aria-label", t("loading"));
  const other = document.querySelector("#language span");
  other.textContent = language === "zh" ? "English" : "中文";
  other.lang = language === "zh" ? "en" : "zh-CN";
}
