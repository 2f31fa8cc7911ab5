// Runs an exported student under node: {folder, texts, queries, …} comes in, what it makes of them goes out.

import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

let given = "";
for await (const part of process.stdin) given += part;
const { folder, texts = [], queries = [], searches = [], words = [], cut = [], unfinished = false } = JSON.parse(given);
const module = (path) => import(pathToFileURL(`${folder}/${path}`).href);

async function read(path) {
  const { buffer, byteOffset, byteLength } = await readFile(`${folder}/${path}`);
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

const runtime = {
  async graphs() {
    const ort = await module("runtime/ort.wasm.bundle.min.mjs");
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = await read("runtime/ort-wasm-simd-threaded.wasm");
    return ort;
  },

  async chinese() {
    const jieba = await module("runtime/jieba_rs_wasm.js");
    await jieba.default({ module_or_path: await read("runtime/jieba_rs_wasm_bg.wasm") });
    return (run) => jieba.cut_for_search(run, false);
  },
};

const { Student } = await module("engine/student.js");
const { stem } = await module("engine/stem.js");
const { normalise } = await module("engine/text.js");
const student = await Student.load(read, runtime);
const every = Array.from({ length: Math.min(student.facts.products, 40) }, (_, row) => row);
const features = (query) => {
  const of = student.lexical?.of(query);
  return of ? every.map(of) : null;
};
const found = [];
for (const query of queries) {
  const scores = await student.scores(await student.encoded(normalise(query)), every);
  found.push({ ...(await student.search(query, { unfinished })), features: features(query), scores: [...scores] });
}
const searched = [];
for (const [query, options] of searches) searched.push(await student.search(query, options));
const ids = texts.map((text) => student.tokenizer.encode(text));
console.log(JSON.stringify({ ids, found, searched, stems: words.map(stem), cut: cut.map((text) => student.words.terms.tokens(text)) }));
