// What products can be filtered by, as shopstill.serve.index.facets has it: a value is a code, and a product a handful
// of codes; those of a field are adjacent. And where each product is listed.

import { starts } from "./vectors.js";

export const [BRAND, CATEGORY, PRICE, ATTRIBUTE] = ["brand", "category", "price", "attribute:"];
const BETWEEN = " > ";

export class Values {
  /**
   * @param {Map} held catalogue/values.safetensors.gz
   * @param {object} stated catalogue/values.json
   */
  constructor(held, { fields, settings }) {
    this.settings = settings;
    this.codes = held.get("codes").values;
    this.start = starts(held.get("length").values);
    this.prices = held.get("price").values;
    this.places = held.get("place").values;
    this.fields = fields.map(([name]) => name);
    this.names = fields.flatMap(([, values]) => values);
    this.from = starts(fields.map(([, values]) => values.length));
    this.field = new Uint32Array(this.names.length);
    fields.forEach((_, field) => this.field.fill(field, this.from[field], this.from[field + 1]));
    this.step = Uint8Array.from(this.prices, (price) => stepOf(price, settings.steps));
  }

  /** The values of a field that a product has. */
  of(row, field) {
    const wanted = this.fields.indexOf(field);
    return [...this.codes.subarray(this.start[row], this.start[row + 1])].filter((code) => this.field[code] === wanted).map((code) => this.names[code]);
  }

  /** {brand, category: from the root, price} of a product; null or empty where it has none. */
  shown(row) {
    const price = this.prices[row];
    return {
      brand: this.of(row, BRAND)[0] ?? null,
      category: this.of(row, CATEGORY).at(-1)?.split(BETWEEN) ?? [],
      price: Number.isNaN(price) ? null : price,
    };
  }

  /** The codes of some values of a field; of those that no product has there are none. */
  coded(field, values) {
    const at = this.fields.indexOf(field);
    const own = this.names.slice(this.from[at], this.from[at + 1]);
    return values.map((value) => own.indexOf(value)).filter((place) => place >= 0).map((place) => this.from[at] + place);
  }
}

/** What of some filters a product lacks: nothing, its price, several things, or else the number of a field. */
export const [NOTHING, DEAR, SEVERAL] = [-1, -2, -3];

/** Filters in codes: any one of each field's, and a price between two bounds. */
export class Wanted {
  /**
   * @param {Values} values
   * @param {{brand?: string[], category?: string[], attributes?: object, price_min?: number, price_max?: number}} filters
   */
  constructor(values, { brand = [], category = [], attributes = {}, price_min = null, price_max = null } = {}) {
    this.values = values;
    this.chosen = Object.entries(attributes).filter(([, wanted]) => wanted.length).map(([name]) => name);
    const named = [[BRAND, brand], [CATEGORY, category], ...this.chosen.map((name) => [ATTRIBUTE + name, attributes[name]])];
    const fields = named.filter(([, wanted]) => wanted.length);
    // A field that no product has gets a number of its own.
    this.fields = fields.map(([field], at) => (values.fields.includes(field) ? values.fields.indexOf(field) : values.fields.length + at));
    this.priced = price_min !== null || price_max !== null;
    [this.low, this.high] = [price_min ?? 0, price_max ?? Infinity];
    // Which of the fields a code is wanted for, from 1.
    this.place = new Uint16Array(values.names.length);
    fields.forEach(([field, wanted], at) => values.coded(field, wanted).forEach((code) => (this.place[code] = at + 1)));
    this.met = new Uint32Array(fields.length + 1);
    this.turn = 0;
  }

  get nothing() {
    return !this.fields.length && !this.priced;
  }

  has(code) {
    return this.place[code] > 0;
  }

  fits(row) {
    return this.lacks(row) === NOTHING;
  }

  lacks(row) {
    const { values, place, met, fields } = this;
    const price = values.prices[row];
    // What has no price is within no bounds.
    const dear = this.priced && !(price >= this.low && price <= this.high);
    if (!fields.length) return dear ? DEAR : NOTHING;
    let left = fields.length;
    this.turn += 1;
    for (let at = values.start[row]; at < values.start[row + 1]; at += 1) {
      const wanted = place[values.codes[at]];
      if (wanted && met[wanted] !== this.turn) {
        met[wanted] = this.turn;
        left -= 1;
      }
    }
    if (!left) return dear ? DEAR : NOTHING;
    return left > 1 || dear ? SEVERAL : fields.find((_, at) => met[at + 1] !== this.turn);
  }
}

/** The last of the steps that a price reaches; what has no price reaches none. */
function stepOf(price, steps) {
  if (Number.isNaN(price)) return steps.length;
  let [from, to] = [0, steps.length];
  while (to - from > 1) {
    const middle = (from + to) >> 1;
    if (steps[middle] <= price) from = middle;
    else to = middle;
  }
  return from;
}
