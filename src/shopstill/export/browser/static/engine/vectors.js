// Vectors by row: in float32, or in int8 with a scale for each.

export class Vectors {
  constructor(values, width, scale = null) {
    this.values = values;
    this.width = width;
    this.scale = scale;
    this.length = values.length / width;
  }

  /** Vectors of some named arrays: NAME, or NAME.int8 with NAME.scale. */
  static of(held, name) {
    const plain = held.get(name);
    if (plain) return new Vectors(plain.values, plain.shape[1]);
    const codes = held.get(`${name}.int8`);
    return new Vectors(codes.values, codes.shape[1], held.get(`${name}.scale`).values);
  }

  /** The dot product of a row with another vector. */
  dot(row, other) {
    const { values, width } = this;
    let sum = 0;
    for (let at = row * width, d = 0; d < width; d += 1, at += 1) sum += values[at] * other[d];
    return this.scale ? sum * this.scale[row] : sum;
  }

  /** A row in float32. */
  row(row) {
    const out = Float32Array.from(this.values.subarray(row * this.width, (row + 1) * this.width));
    if (this.scale) for (let d = 0; d < out.length; d += 1) out[d] *= this.scale[row];
    return out;
  }

  /** Dot products of all rows with a query. */
  scores(query) {
    return this.scale ? coded(this.values, this.scale, query) : plain(this.values, query);
  }

  /** {rows, scores} of the highest dot products, of the rows that fit, best first; equals in the order of the rows. */
  best(query, most, fits = null) {
    const all = this.scores(query);
    const rows = new Int32Array(most);
    const scores = new Float64Array(most);
    let held = 0;
    for (let row = 0; row < all.length; row += 1) {
      const score = all[row];
      if ((held === most && score <= scores[held - 1]) || (fits && !fits(row))) continue;
      let at = held === most ? held - 1 : held;
      for (; at > 0 && scores[at - 1] < score; at -= 1) {
        scores[at] = scores[at - 1];
        rows[at] = rows[at - 1];
      }
      scores[at] = score;
      rows[at] = row;
      held = Math.min(held + 1, most);
    }
    return { rows: [...rows.subarray(0, held)], scores: [...scores.subarray(0, held)] };
  }
}

// One function for each kind of array: a loop that meets both runs several times as long. Four sums run side by side.
function coded(codes, scale, query) {
  const out = new Float64Array(scale.length);
  const width = query.length;
  for (let row = 0, at = 0; row < out.length; row += 1, at += width) {
    let [one, two, three, four] = [0, 0, 0, 0];
    let d = 0;
    for (; d + 3 < width; d += 4) {
      one += codes[at + d] * query[d];
      two += codes[at + d + 1] * query[d + 1];
      three += codes[at + d + 2] * query[d + 2];
      four += codes[at + d + 3] * query[d + 3];
    }
    for (; d < width; d += 1) one += codes[at + d] * query[d];
    out[row] = (one + two + three + four) * scale[row];
  }
  return out;
}

function plain(values, query) {
  const width = query.length;
  const out = new Float64Array(values.length / width);
  for (let row = 0, at = 0; row < out.length; row += 1, at += width) {
    let sum = 0;
    for (let d = 0; d < width; d += 1) sum += values[at + d] * query[d];
    out[row] = sum;
  }
  return out;
}

/** Where each of some lengths begins, end to end. */
export function starts(lengths) {
  const out = new Uint32Array(lengths.length + 1);
  for (let at = 0; at < lengths.length; at += 1) out[at + 1] = out[at] + lengths[at];
  return out;
}
