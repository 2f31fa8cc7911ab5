// What only a graph can say: a query's tower that is a network, and the cross-encoder. Run by onnxruntime-web, on one
// thread, so that a host need not set any headers.

import { starts } from "./vectors.js";

const PIECE_TOKENS = 512;

/** A query's tower whose tokens' vectors depend on each other. */
export class GraphTower {
  constructor(ort, session) {
    Object.assign(this, { ort, session });
  }

  async one(ids) {
    const { Tensor } = this.ort;
    const found = await this.session.run({
      input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]),
      attention_mask: new Tensor("int64", new BigInt64Array(ids.length).fill(1n), [1, ids.length]),
    });
    const [tokens, weight, pooled] = this.session.outputNames.map((name) => found[name].data);
    const width = pooled.length;
    return { tokens: ids.map((_, u) => tokens.slice(u * width, (u + 1) * width)), weight: [...weight], pooled };
  }
}

/** The cross-encoder, with the products' ids. */
export class Cross {
  constructor(ort, session, held, facts) {
    Object.assign(this, { ort, session, facts, ids: held.get("cross.ids").values });
    this.start = starts(held.get("cross.length").values);
  }

  /** Scores of products for a query's ids. */
  async scores(query, products) {
    const rows = products.map((product, at) => ({ at, ...this.#row(query, product) }));
    rows.sort((one, other) => one.ids.length - other.ids.length);
    const out = new Array(products.length);
    for (let from = 0; from < rows.length; ) {
      let to = from + 1;
      while (to < rows.length && (to + 1 - from) * rows[to].ids.length <= PIECE_TOKENS) to += 1;
      const piece = rows.slice(from, to);
      const scores = await this.#run(piece);
      piece.forEach((row, at) => (out[row.at] = scores[at]));
      from = to;
    }
    return out;
  }

  /** begin query part product part: the product is cut first, to half of the room at least, then the query. */
  #row(query, product) {
    const { special, doubled, limits } = this.facts;
    const specials = doubled ? 4 : 3;
    const room = limits.pair - specials;
    const from = this.start[product];
    const size = this.start[product + 1] - from;
    const asked = query.slice(0, Math.max(room - size, Math.floor(room / 2)));
    const title = this.ids.subarray(from, from + Math.min(size, room - asked.length));
    const parts = doubled ? [special.part, special.part] : [special.part];
    const second = asked.length + specials - 1;
    return { ids: [special.begin, ...asked, ...parts, ...title, special.part], second };
  }

  async #run(piece) {
    const width = piece.at(-1).ids.length;
    const size = piece.length * width;
    const ids = new BigInt64Array(size).fill(BigInt(this.facts.special.pad));
    const [mask, kinds] = [new BigInt64Array(size), new BigInt64Array(size)];
    piece.forEach((row, number) => {
      row.ids.forEach((id, at) => {
        ids[number * width + at] = BigInt(id);
        mask[number * width + at] = 1n;
        kinds[number * width + at] = at >= row.second ? 1n : 0n;
      });
    });
    const tensor = (values) => new this.ort.Tensor("int64", values, [piece.length, width]);
    const given = { input_ids: tensor(ids), attention_mask: tensor(mask), token_type_ids: tensor(kinds) };
    const found = await this.session.run(given);
    return found[this.session.outputNames[0]].data;
  }
}
