// What is found for a query under its filters, as shopstill.serve.engine.gather finds it: a filter takes away from what
// is found without it, so that the counts of facets hold.

/**
 * A leg is rows and their scores; only those of `met` are in any order.
 * @param {{any: Leg, every: Leg, enough: boolean}} met what words found, whatever the filters
 * @param {(most: number, fits?: (row: number) => boolean) => Leg} near gives the products nearest to the query; null
 *   where nothing was typed
 * @param {Wanted} wanted
 * @param {{lexical: number, dense: number}} depth of the legs
 * @returns {{legs: Object<string, Leg>, parts: Iterable<number>[]}} legs as they fit; and what is to be counted,
 *   whatever the filters: what has every word, where that is enough, and what is listed
 */
export function gathered(met, near, wanted, depth) {
  const fits = (row) => wanted.fits(row);
  const dense = near ? near(depth.dense) : { rows: [], scores: [] };
  const said = met.enough ? best(narrowed(met.every, wanted), depth.lexical) : best(met.any, depth.lexical);
  const listed = new Set(met.enough ? dense.rows : [...said.rows, ...dense.rows]);
  if (met.enough && listed.size) for (const row of met.every.rows) listed.delete(row);
  let legs = { lexical: met.enough ? said : narrowed(said, wanted), dense: narrowed(dense, wanted) };
  if (near && !wanted.nothing && !legs.lexical.rows.length && !legs.dense.rows.length) {
    // Only where nothing fits is nothing but what fits looked through.
    legs = { lexical: best(narrowed(met.any, wanted), depth.lexical), dense: near(depth.dense, fits) };
    for (const { rows } of Object.values(legs)) for (const row of rows) listed.add(row);
  }
  return { legs, parts: met.enough ? [met.every.rows, listed] : [listed] };
}

/** What fits of what a leg brought. */
export function narrowed(leg, wanted) {
  if (wanted.nothing) return leg;
  const kept = [...leg.rows.keys()].filter((at) => wanted.fits(leg.rows[at]));
  return { rows: kept.map((at) => leg.rows[at]), scores: kept.map((at) => leg.scores[at]) };
}

/** The highest scores of a leg, best first; equals in the order of the rows. */
export function best({ rows, scores }, most) {
  const least = Float32Array.from(scores).sort()[Math.max(rows.length - most, 0)];
  const kept = [...rows.keys()].filter((at) => scores[at] >= least);
  const order = kept.sort((one, other) => scores[other] - scores[one] || rows[one] - rows[other]).slice(0, most);
  return { rows: order.map((at) => rows[at]), scores: order.map((at) => scores[at]) };
}

/** Rows by their prices, equals in the order of the rows; those without one are last. */
export function byPrice(rows, prices, falling) {
  const priced = rows.filter((row) => !Number.isNaN(prices[row]));
  const sign = falling ? -1 : 1;
  priced.sort((one, other) => sign * (prices[one] - prices[other]) || one - other);
  return [...priced, ...rows.filter((row) => Number.isNaN(prices[row])).sort((one, other) => one - other)];
}
