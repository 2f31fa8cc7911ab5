// The student: finds products by its query tower's vector, and puts the best in order.

import { arrays } from "./arrays.js";
import { Cross, GraphTower } from "./graphs.js";
import { Lexical } from "./lexical.js";
import { Dot, Interaction, Products, Words } from "./towers.js";
import { WordPiece } from "./wordpiece.js";

export class Student {
  constructor(parts) {
    Object.assign(this, parts);
  }

  /**
   * Load a student.
   * @param {(path: string) => Promise<ArrayBuffer>} read gives a file of this folder
   * @param {() => Promise<object>} runtime gives onnxruntime-web, where the student has graphs
   */
  static async load(read, runtime) {
    const json = async (path) => JSON.parse(new TextDecoder().decode(await read(path)));
    const [facts, stated, tables, weights, found] = await Promise.all([
      json("student/student.json"),
      json("student/tokenizer.json"),
      json("student/characters.json"),
      read("student/student.safetensors").then(arrays),
      read("catalogue/products.safetensors").then(arrays),
    ]);
    const ort = facts.graphs.length ? await runtime() : null;
    const session = async (name) => ort.InferenceSession.create(new Uint8Array(await read(`student/${name}.onnx`)));
    return new Student({
      facts,
      tokenizer: new WordPiece(stated, tables),
      products: new Products(found),
      tower: facts.graphs.includes("query") ? new GraphTower(ort, await session("query")) : new Words(weights),
      head: weights.has("head.scale") ? new Dot(weights) : new Interaction(weights),
      lexical: facts.lexical ? new Lexical(found, await json("student/rules.json")) : null,
      cross: facts.graphs.includes("pair") ? new Cross(ort, await session("pair"), found, facts) : null,
    });
  }

  /** The best products for a query: [{row, score}, …], best first. */
  async search(query, limit = this.facts.depth) {
    const { facts, products } = this;
    const ids = this.tokenizer.encode(query);
    const asked = await this.tower.one([
      facts.special.begin,
      ...ids.slice(0, facts.limits.query - 2),
      facts.special.part,
    ]);
    const rows = products.pooled.best(asked.pooled, Math.min(facts.depth, facts.products));
    const scores = await this.head.scores(asked, products, rows, this.lexical?.of(query));
    const found = ordered(rows.map((row, at) => ({ row, score: scores[at] })));
    return (this.cross ? await this.#again(ids, found) : found).slice(0, limit);
  }

  async #again(ids, found) {
    const first = found.slice(0, this.facts.reordered);
    const more = await this.cross.scores(ids, first.map(({ row }) => row));
    const summed = first.map(({ row, score }, at) => ({ row, score: score + more[at] }));
    return [...ordered(summed), ...found.slice(first.length)];
  }
}

const ordered = (found) => found.sort((one, other) => other.score - one.score);
