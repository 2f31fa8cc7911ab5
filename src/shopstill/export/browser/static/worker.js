// The search, beside the page, so that typing never waits for it.

import { Student } from "./engine/student.js";

const WARM = 4;
const FILE = (path) => new URL(path, import.meta.url);

let student;
let columns;

async function read(path) {
  const found = await fetch(FILE(path));
  if (!found.ok) throw new Error(`${path}: ${found.status} ${found.statusText}`);
  const content = await found.arrayBuffer();
  postMessage({ loaded: content.byteLength });
  return content;
}

const runtime = {
  async graphs() {
    const ort = await import("./runtime/ort.wasm.bundle.min.mjs");
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = { wasm: FILE("runtime/ort-wasm-simd-threaded.wasm").href };
    return ort;
  },

  async chinese() {
    const jieba = await import("./runtime/jieba_rs_wasm.js");
    await jieba.default({ module_or_path: await read("runtime/jieba_rs_wasm_bg.wasm") });
    jieba.cut_for_search("水壶", false); // The first call reads its dictionary.
    return (run) => jieba.cut_for_search(run, false);
  },
};

function hit({ row, score }, at) {
  const found = { position: at + 1, score, ...student.values.shown(row) };
  for (const [name, values] of Object.entries(columns)) found[name] = values[row];
  return found;
}

async function answer({ number, query, options }) {
  const begun = performance.now();
  const found = await student.search(query, options);
  postMessage({ ...found, number, query, hits: found.hits.map(hit), ms: performance.now() - begun });
}

async function open() {
  const [loaded, shown] = await Promise.all([Student.load(read, runtime), read("catalogue/products.json")]);
  columns = JSON.parse(new TextDecoder().decode(shown));
  // The first calls of anything are slow: the browser compiles as it goes. Products that are far apart are unlike.
  for (let at = 0; at < WARM; at += 1) await loaded.search(columns.title[Math.floor((at * columns.title.length) / WARM)]);
  student = loaded;
  postMessage({ facts: student.facts });
}

const opened = open().catch((fault) => postMessage({ fault: String(fault?.message ?? fault) }));
self.addEventListener("message", async ({ data }) => {
  await opened;
  if (!student) return;
  await answer(data).catch((fault) => postMessage({ number: data.number, fault: String(fault?.message ?? fault) }));
});
