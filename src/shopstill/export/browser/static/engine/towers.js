// The query's tower and the head, as shopstill.serve.bundle.lean computes them.

import { Vectors, starts } from "./vectors.js";

/** A tower in which every token of the vocabulary has one vector. */
export class Table {
  constructor(held) {
    this.table = Vectors.of(held, "query.table");
    this.importance = held.get("query.importance").values;
  }

  /** {tokens: unit vectors, weight, pooled: unit vector} of a query's ids. */
  one(ids) {
    const most = ids.reduce((found, id) => Math.max(found, this.importance[id]), -Infinity);
    const weight = ids.map((id) => Math.exp(this.importance[id] - most));
    const total = weight.reduce((sum, part) => sum + part, 0);
    const rows = ids.map((id) => this.table.row(id));
    const pooled = new Float32Array(this.table.width);
    rows.forEach((row, u) => {
      weight[u] = Math.fround(weight[u] / total);
      for (let d = 0; d < row.length; d += 1) pooled[d] += weight[u] * row[d];
    });
    return { tokens: rows.map(unit), weight, pooled: unit(pooled) };
  }
}

/** The products as the towers made them: pooled vectors, and token vectors end to end. */
export class Products {
  constructor(held) {
    this.start = starts(held.get("length").values);
    this.ids = held.get("ids")?.values ?? null;
    if (this.ids) {
      const table = Vectors.of(held, "words");
      this.pooled = this.#pooled(table, held.get("importance").values);
      this.tokens = new Vectors(table.values.slice(), table.width);
      for (let token = 0; token < table.length; token += 1) stretch(this.tokens.values, token * table.width, table.width);
    } else {
      this.pooled = Vectors.of(held, "pooled");
      this.tokens = held.has("tokens.int8") ? Vectors.of(held, "tokens") : null;
    }
  }

  /** Where the vectors of a product's tokens are. */
  *places(product) {
    for (let at = this.start[product]; at < this.start[product + 1]; at += 1) yield this.ids ? this.ids[at] : at;
  }

  /** The mean of each product's tokens, as they weigh, made to length 1. */
  #pooled({ values, width }, importance) {
    const products = this.start.length - 1;
    const out = new Float32Array(products * width);
    for (let product = 0; product < products; product += 1) {
      let [most, total] = [-Infinity, 0];
      for (const id of this.places(product)) most = Math.max(most, importance[id]);
      for (const id of this.places(product)) total += Math.exp(importance[id] - most);
      for (const id of this.places(product)) {
        const weight = Math.exp(importance[id] - most) / total;
        for (let d = 0, to = product * width, from = id * width; d < width; d += 1) out[to++] += weight * values[from++];
      }
      stretch(out, product * width, width);
    }
    return new Vectors(out, width);
  }
}

/** The cosine of the pooled vectors, scaled and shifted. */
export class Dot {
  constructor(held) {
    this.scale = held.get("head.scale").values[0];
    this.bias = held.get("head.bias").values[0];
  }

  scores(asked, products, rows) {
    return rows.map((row) => products.pooled.dot(row, asked.pooled) * this.scale + this.bias);
  }
}

/** A small network over how well each token of the query is met, both vectors, and lexical features. */
export class Interaction {
  constructor(held) {
    this.w = {};
    for (const [name, { values }] of held) if (name.startsWith("head.")) this.w[name.slice(5)] = values;
    this.levels = [...this.w.levels_L];
    this.fall = -0.5 / this.w.spread[0] ** 2;
    this.hidden = this.w.out_H.length;
  }

  /** Scores of products; `lexical` gives the features of a product, or is null where they are not known. */
  scores(asked, products, rows, lexical) {
    const cosines = new Cosines(asked, products, this.levels, this.fall);
    const mixed = this.#mixed(asked.pooled);
    return rows.map((row) => {
      const read = cosines.match(row);
      const known = lexical?.(row);
      for (let at = read.length; at < this.w.mean_F.length; at += 1) {
        read.push(known ? known[at - this.levels.length - 2] : this.w.mean_F[at]);
      }
      return this.#score(read, products.pooled.row(row), mixed);
    });
  }

  /** What the query alone gives to the first layer, and by what a product's vector is multiplied. */
  #mixed(pooled) {
    const { product_of_DH: both, product_DH: alone, query_DH: asked, matched_H: bias } = this.w;
    const scale = Math.sqrt(pooled.length);
    const start = Float64Array.from(bias);
    const by = new Float64Array(alone.length);
    for (let d = 0, at = 0; d < pooled.length; d += 1) {
      for (let h = 0; h < this.hidden; h += 1, at += 1) {
        start[h] += pooled[d] * asked[at];
        by[at] = pooled[d] * scale * both[at] + alone[at];
      }
    }
    return { start, by };
  }

  #score(read, pooled, { start, by }) {
    const first = Float64Array.from(start);
    accumulate(first, read, this.w.matched_FH);
    accumulate(first, pooled, by);
    const second = Float64Array.from(this.w.middle_H);
    accumulate(second, first.map(positive), this.w.middle_HH);
    return second.reduce((sum, value, h) => sum + positive(value) * this.w.out_H[h], this.w.out[0]);
  }
}

/** How near each token of products is to each of the query; a token that is met again costs nothing. */
class Cosines {
  constructor(asked, products, levels, fall) {
    Object.assign(this, { asked, products, levels, fall, known: new Map() });
  }

  /** [mean of the best cosines, soft counts at each level, least of the best]. */
  match(product) {
    const { weight } = this.asked;
    const size = weight.length;
    const width = this.levels.length + 1;
    const sums = new Float64Array(size * width);
    for (let u = 0; u < size; u += 1) sums[u * width] = -Infinity;
    for (const place of this.products.places(product)) {
      const near = this.#near(place);
      for (let u = 0, at = 0; u < size; u += 1) {
        if (near[at] > sums[at]) sums[at] = near[at];
        at += 1;
        for (let level = 1; level < width; level += 1, at += 1) sums[at] += near[at];
      }
    }
    const out = new Array(width + 1).fill(0);
    out[width] = Infinity;
    for (let u = 0; u < size; u += 1) {
      out[0] += weight[u] * sums[u * width];
      for (let level = 1; level < width; level += 1) out[level] += weight[u] * Math.log1p(sums[u * width + level]);
      if (weight[u] !== 0) out[width] = Math.min(out[width], sums[u * width]);
    }
    return out;
  }

  #near(place) {
    let near = this.known.get(place);
    if (near) return near;
    near = new Float64Array(this.asked.weight.length * (this.levels.length + 1));
    let at = 0;
    for (const token of this.asked.tokens) {
      const cosine = this.products.tokens.dot(place, token);
      near[at++] = cosine;
      for (const level of this.levels) near[at++] = Math.exp((cosine - level) ** 2 * this.fall);
    }
    this.known.set(place, near);
    return near;
  }
}

/** out += inputs · weights, a row of weights an input. */
function accumulate(out, inputs, weights) {
  const size = out.length;
  for (let i = 0, at = 0; i < inputs.length; i += 1, at += size) {
    const value = inputs[i];
    if (value !== 0) for (let h = 0; h < size; h += 1) out[h] += value * weights[at + h];
  }
}

function unit(vector) {
  const out = vector.slice();
  stretch(out, 0, out.length);
  return out;
}

/** Some numbers of an array made to length 1, where they are. */
function stretch(values, from, count) {
  let sum = 0;
  for (let at = from; at < from + count; at += 1) sum += values[at] * values[at];
  const length = Math.max(Math.sqrt(sum), 1e-12);
  for (let at = from; at < from + count; at += 1) values[at] /= length;
}

const positive = (value) => (value > 0 ? value : 0);
