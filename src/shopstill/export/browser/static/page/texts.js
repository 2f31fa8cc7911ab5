// What this page says beside what the served one does, in English and Chinese.
import { say } from "./words.js";

say({
  en: {
    title: "The whole shop is in this tab.", placeholder: "Try a product", install: "Install", about: "What is in this tab",
    privacy: "Nothing that you type leaves this device. Pictures come from the shop, where there is a network.",
    first: "Products", products: ["{n} product", "{n} products"], student: "student {n} MB", time: "answered in {n} ms",
    offline: "works offline", saving: "saving for offline …", online: "needs the network here", loading: "Loading",
    broken: "The student could not be loaded: {why}. Reload the page.", size_student: "The student that searches",
    size_catalogue: "The catalogue and its vectors", size_values: "of it, what filters count", size_all: "Everything",
    unsafe: "This address is not secure, so the browser keeps nothing: use HTTPS or localhost.", mb: "{n} MB",
  },
  zh: {
    title: "整个商店，就在这个标签页里。", placeholder: "搜索商品", install: "安装", about: "这个标签页里有什么",
    privacy: "您输入的内容不会离开本设备。有网络时，图片来自商店。",
    first: "商品", products: ["{n} 件商品", "{n} 件商品"], student: "模型 {n} MB", time: "{n} 毫秒内回答",
    offline: "可离线使用", saving: "正在保存以供离线使用…", online: "此处需要网络", loading: "正在加载",
    broken: "模型加载失败：{why}。请刷新页面。", size_student: "负责搜索的模型",
    size_catalogue: "商品目录与向量", size_values: "其中：筛选数据", size_all: "全部",
    unsafe: "此地址不安全，浏览器不会保存内容：请使用 HTTPS 或 localhost。", mb: "{n} MB",
  },
});
