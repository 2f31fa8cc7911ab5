// The student at work: products are found by words and by its vectors, put together, and the best put in order.

import { arrays, unpacked } from "./arrays.js";
import { counted } from "./counting.js";
import { blended, fused, reordered } from "./fusion.js";
import { best, byPrice, gathered, narrowed } from "./gather.js";
import { Cross, GraphTower } from "./graphs.js";
import { Lexical } from "./lexical.js";
import { Spelling } from "./spelling.js";
import { Terms } from "./terms.js";
import { normalise } from "./text.js";
import { Dot, Interaction, Products, Table } from "./towers.js";
import { Values, Wanted } from "./values.js";
import { WordPiece } from "./wordpiece.js";
import { Words } from "./words.js";

export class Student {
  constructor(parts) {
    Object.assign(this, parts);
    const rows = Array.from({ length: this.facts.products }, (_, row) => row);
    // The lower the place, the better: where nothing is asked, products come as they are listed.
    const every = { rows, scores: Float32Array.from(this.values.places, (place) => -place) };
    this.all = { any: every, every, enough: true };
  }

  /**
   * Load a student.
   * @param {(path: string) => Promise<ArrayBuffer>} read gives a file of this folder
   * @param {{graphs: () => Promise<object>, chinese: () => Promise<(run: string) => string[]>}} runtime gives
   *   onnxruntime-web, where the student has graphs, and what cuts Chinese, where products have any
   */
  static async load(read, runtime) {
    const json = async (path) => JSON.parse(new TextDecoder().decode(await read(path)));
    const held = async (path) => arrays(await unpacked(await read(path)));
    const [facts, stated, tables, rules, weights, found, postings, said, coded, named] = await Promise.all([
      json("student/student.json"),
      json("student/tokenizer.json"),
      json("student/characters.json"),
      json("student/rules.json"),
      held("student/student.safetensors.gz"),
      held("catalogue/products.safetensors.gz"),
      held("catalogue/words.safetensors.gz"),
      json("catalogue/words.json"),
      held("catalogue/values.safetensors.gz"),
      json("catalogue/values.json"),
    ]);
    const ort = facts.graphs.length ? await runtime.graphs() : null;
    const session = async (name) => ort.InferenceSession.create(new Uint8Array(await read(`student/${name}.onnx`)));
    const terms = new Terms(rules, facts.chinese ? await runtime.chinese() : null);
    const words = new Words(postings, said, facts.legs, terms);
    return new Student({
      facts,
      tokenizer: new WordPiece(stated, tables),
      products: new Products(found),
      words,
      values: new Values(coded, named),
      spelling: new Spelling(words),
      tower: facts.graphs.includes("query") ? new GraphTower(ort, await session("query")) : new Table(weights),
      head: weights.has("head.scale") ? new Dot(weights) : new Interaction(weights),
      lexical: facts.lexical ? new Lexical(found, terms) : null,
      cross: facts.graphs.includes("pair") ? new Cross(ort, await session("pair"), found, facts) : null,
    });
  }

  /**
   * The best products for a query, or all where it is empty.
   * @param {string} query as it was typed; where it is `unfinished`, its last word may become others, unless a blank follows it
   * @param {{limit?: number, unfinished?: boolean, filters?: object, sort?: string}} options as the server has them
   * @returns {Promise<{hits: {row: number, score: number}[], total: number, facets: object[], spelling: string | null}>}
   *   best first; how many match, and how many of these have each value; the spelling that was searched for in place of
   *   what was typed
   */
  async search(query, { limit = this.facts.depth, unfinished = false, filters = {}, sort = "relevance" } = {}) {
    const typed = [...normalise(query)].slice(0, this.facts.legs.longest).join("");
    // A blank behind the last word finishes it.
    const open = unfinished && !/\s$/.test(query);
    const spelling = this.spelling.corrected(typed, open);
    const wanted = new Wanted(this.values, filters);
    const text = spelling ?? typed;
    const met = text ? this.words.matched(text, open) : this.all;
    const { hits, parts } = sort === "relevance" ? await this.#ranked(text, met, wanted, limit) : this.#priced(met, wanted, sort);
    return { hits: hits.slice(0, limit), ...counted(this.values, parts, wanted), spelling };
  }

  /** A query as the towers take it: its token ids, and what its tower makes of them. */
  async encoded(text) {
    const { special, limits } = this.facts;
    const ids = this.tokenizer.encode(text);
    const asked = await this.tower.one([special.begin, ...ids.slice(0, limits.query - 2), special.part]);
    return { text, ids, asked };
  }

  /** The model's scores of some products for an encoded query. */
  async scores({ text, ids, asked }, rows) {
    const scores = await this.head.scores(asked, this.products, rows, this.lexical?.of(text));
    const more = this.cross ? await this.cross.scores(ids, rows) : null;
    return more ? scores.map((score, at) => score + more[at]) : scores;
  }

  async #ranked(text, met, wanted, limit) {
    const { facts, products } = this;
    const query = text ? await this.encoded(text) : null;
    const near = query && ((most, fits) => products.pooled.best(query.asked.pooled, Math.min(most, facts.products), fits));
    const { legs, parts } = gathered(met, near, wanted, facts.legs.found);
    const pool = await this.#ordered(query, legs);
    if (!met.enough || pool.length >= limit) return { hits: pool, parts };
    // Further down is what matches in the order of its words.
    const there = new Set(pool.map(({ row }) => row));
    const more = best(narrowed(met.every, wanted), limit).rows.filter((row) => !there.has(row));
    return { hits: [...pool, ...more.map((row) => ({ row, score: 0 }))], parts };
  }

  async #ordered(query, legs) {
    const { facts, products } = this;
    const { fusion } = facts.legs;
    if (query && fusion !== null) return blended(legs, fusion, (row) => products.pooled.dot(row, query.asked.pooled));
    const pool = fused(legs, facts.legs);
    if (!query) return pool;
    const rows = pool.slice(0, this.cross ? facts.reordered : facts.depth).map(({ row }) => row);
    return reordered(pool, await this.scores(query, rows), facts.legs);
  }

  #priced(met, wanted, sort) {
    const leg = met.enough ? met.every : met.any;
    const rows = byPrice(narrowed(leg, wanted).rows, this.values.prices, sort === "price_desc");
    return { hits: rows.map((row) => ({ row, score: this.values.prices[row] })), parts: [leg.rows] };
  }
}
