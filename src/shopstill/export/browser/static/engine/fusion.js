// What both legs found, put together, and the model's order of the best of it: as shopstill.serve.engine has them.

/** Legs put together by reciprocal ranks; ties in the order of the legs. */
export function fused(legs, { weights, smooth }) {
  const worth = new Map();
  for (const [leg, { rows }] of Object.entries(legs)) {
    rows.forEach((row, at) => worth.set(row, (worth.get(row) ?? 0) + weights[leg] * reciprocal(at, smooth)));
  }
  return ordered([...worth].map(([row, score]) => ({ row, score })));
}

/** Legs put together by scores: the share of the best score by words, and a cosine times a weight. */
export function blended({ lexical, dense }, weight, cosine) {
  const most = Math.max(lexical.scores.reduce((found, score) => Math.max(found, score), 0), 1e-12);
  const there = new Set(lexical.rows);
  const said = lexical.rows.map((row, at) => ({ row, score: weight * cosine(row) + lexical.scores[at] / most }));
  const beside = dense.rows.flatMap((row, at) => (there.has(row) ? [] : [{ row, score: weight * dense.scores[at] }]));
  return ordered([...said, ...beside]);
}

/** The first of a ranking in the order of a model, whose ranks count beside those that they had. */
export function reordered(found, scores, { model, smooth }) {
  const place = scores.map((_, at) => at).sort((one, other) => scores[other] - scores[one]);
  const first = found.slice(0, scores.length);
  place.forEach((at, rank) => (first[at] = { ...first[at], score: first[at].score + model * reciprocal(rank, smooth) }));
  return [...ordered(first), ...found.slice(scores.length)];
}

const reciprocal = (rank, smooth) => 1 / (smooth + 1 + rank);

const ordered = (found) => found.sort((one, other) => other.score - one.score);
