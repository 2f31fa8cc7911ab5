// Exact lexical features of a query and a product, as shopstill.data.lexical works them out, to the last bit.
// They are known for queries that Terms knows how to read; for others they are not, and the head takes their means.

import { starts } from "./vectors.js";
import { MEASURE, MODEL, NUMBER, WORD, bits } from "./terms.js";

const QUERY_TOKENS = 16;
const GRID = 1024;
const EVERYWHERE = 0xffffffff;
const single = Math.fround;

export class Lexical {
  constructor(held, terms) {
    const of = (name) => held.get(`lexical.${name}`).values;
    this.terms = terms;
    this.tokens = of("tokens");
    this.start = starts(of("token_length"));
    this.figures = of("figures");
    this.figureStart = starts(of("figure_length"));
    [this.grams, this.facts, this.noun] = [of("grams"), of("facts"), of("noun")];
    [this.codes, this.idf] = [of("codes"), of("idf")];
  }

  /** A function from a product's row to its features; null where the features of this query are not known. */
  of(text) {
    if (!this.terms.spelled(text)) return null;
    const query = this.#query(text);
    return (row) => this.#pair(query, row);
  }

  #rarity(wanted) {
    let from = 0;
    let to = this.codes.length - 1;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.codes[middle] < wanted) from = middle + 1;
      else to = middle;
    }
    return this.codes[from] === wanted ? this.idf[from] : 1;
  }

  #query(text) {
    const [about, aside] = this.terms.parts(text);
    const tokens = [...about, ...aside].slice(0, QUERY_TOKENS);
    if (!tokens.length) tokens.push("");
    const terms = tokens.map((token) => this.terms.term(token));
    const idf = tokens.map((token, at) => (token ? this.#rarity(terms[at].code) : 0));
    const joined = tokens.slice(1).map((token, at) => this.terms.joined(tokens[at], token));
    const noun = Math.max(nounPlace(terms, Math.min(about.length, terms.length)), 0);
    // An empty query is one token that nothing holds.
    const total = idf.reduce((sum, value) => sum + value, 0) || 1;
    const kinds = (kind) => Math.min(terms.filter((term) => term.kind === kind).length, 4) / 4;
    const shown = [tokens.length / QUERY_TOKENS, total / tokens.length, idf[noun], kinds(NUMBER), kinds(MODEL)].map(single);
    const scale = terms.map((term) => single(GRID / Math.max(term.count, 1)));
    return { terms, idf, joined, noun, total, shown, scale, figures: figures(terms) };
  }

  #pair(query, row) {
    const { terms, idf } = query;
    const size = terms.length;
    const [, , , length, nounAt, norm] = this.facts.subarray(row * 6, row * 6 + 6);
    const held = this.tokens.subarray(this.start[row], this.start[row + 1]);
    const own = terms.map((term) => mask(term.code, held));
    const joined = query.joined.map((wanted) => mask(wanted, held));
    const hit = own.map((word, at) => (word | (joined[at] ?? 0) | (joined[at - 1] ?? 0)) >>> 0);
    const union = hit.reduce((all, word) => (all | word) >>> 0, 0);
    const found = hit.map((word) => (word ? 1 : 0));
    const [beside, after] = order(own, joined, hit.map(first), found);
    const grams = terms.map((term, at) => even(single(this.#shared(term.grams, row) * query.scale[at])));
    const bm25 = own.map((word) => even(single((bits(word) * GRID) / single(bits(word) + norm))));
    const weighted = (values) => values.reduce((sum, value, at) => sum + value * idf[at], 0);
    const pairs = Math.max(size - 1, 1);
    const at = this.noun[row];
    const near = [EVERYWHERE, at ? EVERYWHERE >>> Math.clz32(at) : 0, at | (at >>> 1), at];
    const named = near.map((word) => bits(union & word));
    return [
      ...query.shown,
      ...this.facts.subarray(row * 6, row * 6 + 3),
      sum(beside) / pairs,
      sum(after) / pairs,
      sum(found) / size,
      sum(grams) / (size * GRID),
      weighted(found) / query.total,
      weighted(grams) / (query.total * GRID),
      weighted(bm25) / (query.total * GRID),
      Math.min(weighted(bm25) / 4096, 1),
      Math.max(...idf.map((value, place) => value - found[place] * value)),
      Math.min(...grams) / GRID,
      [0.125, 0.125, 0.25, 0.5].reduce((level, part, place) => level + (hit[query.noun] & near[place] ? part : 0), 0),
      named[3],
      named[0] / length,
      named[1] / nounAt,
      1 - Math.min(single(first(union) / length), 1),
      ...this.#figures(query.figures, row),
    ].map(single);
  }

  #shared(grams, row) {
    let count = 0;
    for (let at = 0, other = row * grams.length; at < grams.length; at += 1, other += 1) {
      const both = grams[at] & this.grams[other];
      if (both) count += bits(both);
    }
    return count;
  }

  /** Shares of the query's numbers, measures, measures with other numbers, and models. */
  #figures({ codes, groups, counts }, row) {
    const held = this.figures.subarray(this.figureStart[row], this.figureStart[row + 1]);
    const out = [0, 0, 0, 0];
    codes.forEach((wanted, at) => {
      if (held.includes(wanted)) groups[at].forEach((value, group) => (out[group] += value));
    });
    return out.map((value, group) => value / counts[group]);
  }
}

const COUNTS_FOR = { [NUMBER]: [[1, 0, 0, 0]], [MEASURE]: [[0, 1, -1, 0], [0, 0, 1, 0]], [MODEL]: [[0, 0, 0, 1]] };

function figures(terms) {
  const told = terms.filter((term) => term.kind !== WORD);
  const groups = told.flatMap((term) => COUNTS_FOR[term.kind]);
  const counts = [0, 1, 2, 3].map((group) => Math.max(groups.filter((values) => values[group] > 0).length, 1));
  return { codes: told.flatMap((term) => term.figures), groups, counts };
}

/** Position of the last word among the first terms: the noun that says what it is; -1 where there are none. */
function nounPlace(terms, size) {
  for (let at = size - 1; at >= 0; at -= 1) if (terms[at].kind === WORD || terms[at].kind === MODEL) return at;
  return size - 1;
}

function order(own, joined, firsts, found) {
  // A query of one token is in order where it is found.
  if (!joined.length) return [found, found];
  const beside = found.map((_, at) => (at && ((own[at - 1] << 1) & own[at]) | joined[at - 1] ? 1 : 0));
  const after = found.map((there, at) => (at && there && (firsts[at - 1] < firsts[at] || joined[at - 1]) ? 1 : 0));
  return [beside, after];
}

/** A bit for each place at which a title holds a code. */
function mask(wanted, held) {
  let out = 0;
  for (let at = 0; at < held.length; at += 1) if (held[at] === wanted) out |= 1 << at;
  return out >>> 0;
}

/** The place of the lowest bit; 32 where there is none. */
const first = (word) => (word ? 31 - Math.clz32(word & -word) : 32);

const sum = (values) => values.reduce((total, value) => total + value, 0);

/** The nearest whole number; of two as near, the even one. */
function even(value) {
  const below = Math.floor(value);
  const over = value - below;
  return over > 0.5 || (over === 0.5 && below % 2) ? below + 1 : below;
}
