// A better spelling for words that no product has, as shopstill.serve.engine.spelling finds it.

import { spelt } from "./text.js";

export class Spelling {
  /** @param {Words} words the leg of words */
  constructor(words) {
    this.words = words;
    this.known = new Map();
  }

  /** The text with each unknown word replaced by the nearest known one; null where nothing changes. */
  corrected(text, unfinished = false) {
    const found = [...spelt(text)];
    let [made, at] = ["", 0];
    found.forEach(({ 0: word, index }, place) => {
      made += text.slice(at, index) + (this.#better(word, unfinished && place === found.length - 1) ?? word);
      at = index + word.length;
    });
    made += text.slice(at);
    return made === text ? null : made;
  }

  #better(word, unfinished) {
    const key = `${unfinished ? "…" : ""}${word}`;
    if (!this.known.has(key)) this.known.set(key, this.#found(word, unfinished));
    return this.known.get(key);
  }

  #found(word, unfinished) {
    const { terms, said, written, settings } = this.words;
    const { shortest, long } = settings.spelling;
    const form = terms.folded(word);
    if (form.length < shortest || !/^[a-z]+$/.test(form) || terms.tokens(form).some((token) => said.products(token))) return null;
    if (unfinished && written.beginning(form, 1).length) return null;
    for (let edits = 1; edits <= (form.length >= long ? 2 : 1); edits += 1) {
      const close = written.tokens.filter((other) => apart(form, other, edits) <= edits);
      if (close.length) return close.reduce((best, other) => (written.products(other) > written.products(best) ? other : best));
    }
    return null;
  }
}

/** Edits between two words, a swap of neighbours counting as one; or more than `most`. */
function apart(one, other, most) {
  if (Math.abs(one.length - other.length) > most) return most + 1;
  let [before, above] = [null, Array.from({ length: other.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const changed = above[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1);
      row[j] = Math.min(above[j] + 1, row[j - 1] + 1, changed);
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      if (swapped) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    if (Math.min(...row) > most) return most + 1;
    [before, above] = [above, row];
  }
  return above[other.length];
}
