// Runs an exported student under node: {folder, texts, queries} comes in, what it makes of them goes out.

import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

let given = "";
for await (const part of process.stdin) given += part;
const { folder, texts = [], queries = [], words = [] } = JSON.parse(given);
const module = (path) => import(pathToFileURL(`${folder}/${path}`).href);

async function read(path) {
  const { buffer, byteOffset, byteLength } = await readFile(`${folder}/${path}`);
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

async function runtime() {
  const ort = await module("runtime/ort.wasm.bundle.min.mjs");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await read("runtime/ort-wasm-simd-threaded.wasm");
  return ort;
}

const { Student } = await module("engine/student.js");
const { stem } = await module("engine/stem.js");
const student = await Student.load(read, runtime);
const every = Array.from({ length: Math.min(student.facts.products, 40) }, (_, row) => row);
const features = (query) => {
  const of = student.lexical?.of(query);
  return of ? every.map(of) : null;
};
const found = [];
for (const query of queries) found.push({ hits: await student.search(query), features: features(query) });
console.log(JSON.stringify({ ids: texts.map((text) => student.tokenizer.encode(text)), found, stems: words.map(stem) }));
