// Text to token ids: WordPiece, with tables of characters that the tokenizer itself was asked for when this folder was
// written. The ids are those that the server gives, in any browser.

const SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const PLAIN = /^[\x20-\x7e]*$/;

/** Membership in ranges [first, last, first, last, …]. */
class Ranges {
  constructor(flat) {
    this.flat = flat;
    this.low = new Uint8Array(0x10000);
    for (let at = 0; at < flat.length; at += 2) {
      this.low.fill(1, Math.min(flat[at], 0x10000), Math.min(flat[at + 1] + 1, 0x10000));
    }
  }

  has(number) {
    if (number < 0x10000) return this.low[number] === 1;
    let from = 0;
    let to = this.flat.length / 2;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.flat[2 * middle + 1] < number) from = middle + 1;
      else to = middle;
    }
    return from < this.flat.length / 2 && this.flat[2 * from] <= number;
  }
}

export class WordPiece {
  /**
   * @param {object} stated a tokenizer.json
   * @param {object} tables what it makes of every character
   */
  constructor(stated, tables) {
    const model = stated.model;
    this.vocabulary = new Map(Object.entries(model.vocab));
    this.prefix = model.continuing_subword_prefix;
    this.most = model.max_input_chars_per_word;
    this.unknown = this.vocabulary.get(model.unk_token);
    this.longest = 0;
    for (const token of this.vocabulary.keys()) this.longest = Math.max(this.longest, token.length);
    this.removed = new Ranges(tables.removed);
    this.spaced = new Ranges(tables.spaced);
    this.alone = new Ranges(tables.alone);
    this.between = new Ranges(tables.between);
    this.hangul = tables.hangul;
    this.mapped = new Map(Object.entries(tables.mapped));
    this.added = new Map(stated.added_tokens.map((token) => [token.content, token.id]));
    const names = [...this.added.keys()].sort((one, other) => other.length - one.length);
    const quoted = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    this.split = names.length ? new RegExp(quoted.join("|"), "g") : null;
  }

  /** The id of the first of some special tokens that there is. */
  special(...names) {
    for (const name of names) {
      const found = this.added.get(name) ?? this.vocabulary.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Ids of a text, without special tokens at its ends. */
  encode(text) {
    const sound = text.replace(SURROGATE, "?");
    const ids = [];
    let at = 0;
    for (const found of this.split ? sound.matchAll(this.split) : []) {
      this.#part(sound.slice(at, found.index), ids);
      ids.push(this.added.get(found[0]));
      at = found.index + found[0].length;
    }
    this.#part(sound.slice(at), ids);
    return ids;
  }

  #part(text, ids) {
    for (const word of this.#words(this.#normalise(text))) this.#pieces(word, ids);
  }

  #normalise(text) {
    let out = "";
    for (const character of text) {
      const number = character.codePointAt(0);
      const other = this.mapped.get(character);
      if (other !== undefined) out += other;
      else if (this.removed.has(number)) continue;
      else if (this.spaced.has(number)) out += ` ${character} `;
      else if (this.hangul && number >= 0xac00 && number <= 0xd7a3) out += character.normalize("NFD");
      else out += character;
    }
    return out;
  }

  #words(text) {
    const words = [];
    let word = "";
    const close = () => {
      if (word) words.push(word);
      word = "";
    };
    for (const character of text) {
      const number = character.codePointAt(0);
      if (this.between.has(number)) close();
      else if (this.alone.has(number)) {
        close();
        words.push(character);
      } else word += character;
    }
    close();
    return words;
  }

  #pieces(word, ids) {
    const characters = PLAIN.test(word) ? word : [...word];
    if (characters.length > this.most) {
      ids.push(this.unknown);
      return;
    }
    const found = [];
    for (let from = 0; from < characters.length; ) {
      const [id, to] = this.#longest(characters, from);
      if (id === undefined) {
        ids.push(this.unknown);
        return;
      }
      found.push(id);
      from = to;
    }
    ids.push(...found);
  }

  #longest(characters, from) {
    const join = typeof characters === "string" ? (to) => characters.slice(from, to) : (to) => characters.slice(from, to).join("");
    const prefix = from ? this.prefix : "";
    for (let to = Math.min(characters.length, from + this.longest); to > from; to -= 1) {
      const id = this.vocabulary.get(prefix + join(to));
      if (id !== undefined) return [id, to];
    }
    return [undefined, from];
  }
}
