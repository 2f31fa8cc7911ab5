// The leg of words: BM25 over all that is said of a product, as the server's index scores it.

import { whole } from "./terms.js";

const single = Math.fround;

/** Where each token of a field stands, and what it is worth there. */
export class Field {
  constructor(held, name, { tokens, average }, { k1, b }) {
    const of = (part) => held.get(`${name}.${part}`).values;
    [this.start, this.rows, this.often] = [of("start"), of("rows"), of("often")];
    this.tokens = tokens;
    this.place = new Map(tokens.map((token, at) => [token, at]));
    this.most = 1 + k1;
    this.norm = Float32Array.from(of("length"), (size) => k1 * single(1 - b + single(single(b * size) / single(average))));
  }

  /** How many products have a token. */
  products(token) {
    const place = this.place.get(token);
    return place === undefined ? 0 : this.start[place + 1] - this.start[place];
  }

  /** What a token is multiplied by that so many products have. */
  rarity(count) {
    return Math.log(1 + (this.norm.length - count + 0.5) / (count + 0.5));
  }

  /** Show the products that have a token, which counts so many times: `see` is told each row and its score. */
  visit(token, times, see) {
    const count = this.products(token);
    if (!count) return;
    const rarity = single(Math.log(1 + single(single(this.norm.length - count + 0.5) / single(count + 0.5))));
    const weight = single(single(rarity * single(this.most)) * times);
    const from = this.start[this.place.get(token)];
    for (let at = from; at < from + count; at += 1) {
      const [row, often] = [this.rows[at], this.often[at]];
      see(row, single(weight * single(often / single(often + this.norm[row]))));
    }
  }

  /** Tokens that begin so, those of most products first. */
  beginning(start, most) {
    const found = this.tokens.filter((token) => token.startsWith(start));
    return found.sort((one, other) => this.products(other) - this.products(one) || (one < other ? -1 : 1)).slice(0, most);
  }

  /** Tokens that an unfinished one stands for, as shopstill.serve.index.endings takes them. */
  endings(start, { least, most, postings }) {
    let sum = 0;
    return this.beginning(start, most).filter((token, place) => (sum += this.products(token)) <= postings || place < least);
  }
}

export class Words {
  /**
   * @param {Map} held catalogue/words.safetensors.gz
   * @param {object} stated catalogue/words.json
   * @param {object} settings of the legs, in student/student.json
   * @param {Terms} terms cuts a query into tokens
   */
  constructor(held, stated, settings, terms) {
    this.said = new Field(held, "words", stated.words, settings);
    this.written = new Field(held, "forms", stated.forms, settings);
    this.settings = settings;
    this.terms = terms;
    this.sums = new Float32Array(this.said.norm.length);
    this.met = new Uint8Array(this.said.norm.length);
  }

  /** {any, every, enough}: the rows and scores of what has any word of a text and of what has all of them, in any order;
   * and whether the latter is enough to be what matches, or the former is. */
  matched(text, unfinished = false) {
    const tokens = this.terms.tokens(text).slice(0, this.settings.tokens);
    const asked = tokens.length;
    const last = unfinished ? this.#unfinished(text, tokens) : null;
    const often = new Map();
    for (const token of tokens) often.set(token, (often.get(token) ?? 0) + 1);
    const known = [...often].filter(([token]) => this.said.products(token));
    const { sums, met } = this;
    const touched = [];
    const add = (row, score) => {
      if (!met[row]) touched.push(row);
      met[row] += 1;
      sums[row] += score;
    };
    for (const [token, times] of known) this.said.visit(token, times, add);
    for (const [row, score] of last ?? []) add(row, score);
    const parts = known.length + (last ? 1 : 0);
    const whole = known.length === often.size ? touched.filter((row) => met[row] === parts) : [];
    const [any, every] = [touched, whole].map((rows) => ({ rows, scores: rows.map((row) => sums[row]) }));
    for (const row of touched) sums[row] = met[row] = 0;
    return { any, every, enough: whole.length >= this.settings.few || asked < 2 };
  }

  /** Scores of what has the last word or one that it may become, in place of all its tokens, which are taken off; null
   * where it is not looked up, or no word begins so. */
  #unfinished(text, tokens) {
    const { count, begun } = this.terms.last(text);
    const seen = count && tokens.length < this.settings.tokens;
    const found = seen ? this.written.endings(begun, this.settings.endings) : [];
    if (!found.length) return null;
    const most = new Map();
    this.said.visit(whole(tokens.splice(-count)), 1, (row, score) => most.set(row, score));
    // None of them stands out for being rare: which is meant nobody knows yet.
    const { written, settings } = this;
    const rarity = (word) => written.rarity(written.products(word));
    const usual = rarity(found[0]);
    for (const word of found) {
      const times = single((settings.ending * usual) / rarity(word));
      written.visit(word, times, (row, score) => score > (most.get(row) ?? 0) && most.set(row, score));
    }
    return most;
  }
}
