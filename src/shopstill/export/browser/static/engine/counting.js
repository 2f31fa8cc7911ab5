// Facets: how many of some products have each value of a field, as shopstill.serve.engine.counting counts them.

import { ATTRIBUTE, BRAND, CATEGORY, DEAR, NOTHING, PRICE, SEVERAL } from "./values.js";

/**
 * {total, facets} of some products: how many fit, and the values of each field, commonest first. A field is counted as
 * if nothing were chosen in it, so that other choices stay in sight.
 * @param {Values} values
 * @param {Iterable<number>[]} rows parts of what is counted
 * @param {Wanted} wanted
 */
export function counted(values, rows, wanted) {
  const { start, codes, field, step, settings } = values;
  const counts = new Uint32Array(values.names.length);
  const prices = new Uint32Array(settings.steps.length + 1);
  const having = new Uint32Array(values.fields.length);
  let total = 0;
  for (const part of rows) {
    for (const row of part) {
      const lacks = wanted.lacks(row);
      if (lacks === SEVERAL) continue;
      if (lacks === NOTHING || lacks === DEAR) prices[step[row]] += 1;
      if (lacks === DEAR) continue;
      const fits = lacks === NOTHING;
      if (fits) total += 1;
      for (let at = start[row]; at < start[row + 1]; at += 1) {
        const code = codes[at];
        if (fits) having[field[code]] += 1;
        if (fits || field[code] === lacks) counts[code] += 1;
      }
    }
  }
  const one = (name) => ({ field: name, values: name === PRICE ? ranges(prices, settings.steps) : commonest(values, name, counts, wanted) });
  const named = new Set([CATEGORY, BRAND, PRICE, ...wanted.chosen, ...attributes(values, having)]);
  return { total, facets: [...named].map(one).filter((facet) => facet.values.length) };
}

/** The attributes that most products have. */
function attributes({ fields, settings }, having) {
  const found = fields.map((_, at) => at).filter((at) => fields[at].startsWith(ATTRIBUTE) && having[at]);
  const most = found.sort((one, other) => having[other] - having[one] || one - other).slice(0, settings.attributes);
  return most.map((at) => fields[at].slice(ATTRIBUTE.length));
}

/** The values of a field that most products have, and those that are chosen. */
function commonest({ fields, from, names, settings }, name, counts, wanted) {
  const at = fields.indexOf(name === BRAND || name === CATEGORY ? name : ATTRIBUTE + name);
  const found = [];
  for (let code = from[at]; code < from[at + 1]; code += 1) if (counts[code]) found.push(code);
  found.sort((one, other) => counts[other] - counts[one] || one - other);
  const shown = found.filter((code, place) => place < settings.shown || wanted.has(code));
  return shown.map((code) => ({ value: names[code], count: counts[code], selected: wanted.has(code) }));
}

/** Ranges of about as many products each, between prices as one would say them. */
function ranges(counts, steps) {
  const upto = [];
  for (let at = 0; at < steps.length; at += 1) upto.push((upto[at - 1] ?? 0) + counts[at]);
  const all = upto.at(-1);
  if (!all) return [];
  const reached = [1, 2, 3, 4].map((part) => upto.findIndex((sum) => sum > (part / 5) * (all - 1)));
  // Of two steps the first begins at an edge, which is near; the second ends at one.
  const edges = [...new Set(reached.map((at) => Math.floor(at / 2) * 2 + 1))];
  const found = [0, ...edges].map((at, place) => {
    const next = edges[place];
    const count = (next === undefined ? all : upto[next - 1]) - (upto[at - 1] ?? 0);
    return { count, low: at ? steps[at] : 0, high: next === undefined ? null : below(steps[next]) };
  });
  return found.filter(({ count }) => count).map((one) => ({ value: `${one.low}–${one.high ?? ""}`, ...one }));
}

/** The greatest number below one that is positive: filters include their bounds. */
function below(value) {
  const bits = new BigInt64Array(new Float64Array([value]).buffer);
  bits[0] -= 1n;
  return new Float64Array(bits.buffer)[0];
}
