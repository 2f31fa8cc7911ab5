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

async function runtime() {
  const ort = await import("./runtime/ort.wasm.bundle.min.mjs");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: FILE("runtime/ort-wasm-simd-threaded.wasm").href };
  return ort;
}

function hit({ row, score }, at) {
  const found = { position: at + 1, score };
  for (const [name, values] of Object.entries(columns)) found[name] = values[row];
  return found;
}

async function answer({ number, query, limit }) {
  const begun = performance.now();
  const found = query.trim()
    ? await student.search(query, limit)
    : columns.id.slice(0, limit).map((_, row) => ({ row, score: null }));
  postMessage({ number, query, hits: found.map(hit), ms: performance.now() - begun });
}

async function open() {
  const [loaded, shown] = await Promise.all([Student.load(read, runtime), read("catalogue/products.json")]);
  columns = JSON.parse(new TextDecoder().decode(shown));
  // The first calls of anything are slow: the browser compiles as it goes.
  for (let at = 0; at < WARM; at += 1) await loaded.search(columns.title[at % columns.title.length]);
  student = loaded;
  postMessage({ facts: student.facts });
}

const opened = open().catch((fault) => postMessage({ fault: String(fault?.message ?? fault) }));
self.addEventListener("message", async ({ data }) => {
  await opened;
  if (!student) return;
  await answer(data).catch((fault) => postMessage({ number: data.number, fault: String(fault?.message ?? fault) }));
});
