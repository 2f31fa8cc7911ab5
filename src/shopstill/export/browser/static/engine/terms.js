// A query's tokens and what exact matching knows of them, as shopstill.data.text, units and terms have them for English
// and Chinese. The expressions come from there, in student/rules.json.

import { stem } from "./stem.js";
import { folded } from "./text.js";

export const [WORD, NUMBER, MEASURE, MODEL] = [0, 1, 2, 3];
const LETTERS = 64;
const HAN = String.raw`\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\u{20000}-\u{3ffff}`;
const PAIRED = String.raw`\u3041-\u3096\u30a1-\u30fa\u30fc\u1100-\u11ff\u3130-\u318f\uac00-\ud7af\u0e01-\u0e4e`;
const LETTER = String.raw`(?:(?![${HAN}${PAIRED}])[\p{L}\p{M}\p{N}])`;
const RUN = new RegExp(
  String.raw`(?<number>\d+(?:-\d+/\d+|[./]\d+)*)(?<tail>${LETTER}*)|(?<han>[${HAN}]+)|(?<paired>[${PAIRED}]+)|(?<word>${LETTER}+)(?:'s?)?`,
  "gu",
);
const UNSPACED = /[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7af]/;
const PARTS = /\d+|\p{L}{2,}/gu;
const DIMENSIONS = /^\d+(?:[./]\d+)*(?:x\d+(?:[./]\d+)*)+$/;
const FIGURE = String.raw`\d+(?:-\d+/\d+|[./]\d+)*`;
const ONLY_NUMBER = new RegExp(`^${FIGURE}$`);

const TABLE = new Uint32Array(256).map((_, number) => {
  let value = number;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc(text) {
  let value = 0xffffffff;
  for (const byte of new TextEncoder().encode(text)) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}

/** The 32-bit digest of a token. */
export const code = (token) => Math.min(Math.max(crc(token), 1), 0xfffffffe);

export class Terms {
  /**
   * @param {object} rules student/rules.json
   * @param {((run: string) => string[]) | null} cut cuts Chinese as the server does; null where no product has any
   */
  constructor(rules, cut = null) {
    const { units, thousands, decimal, fraction, between, times, aside } = rules.expressions;
    const all = (source) => new RegExp(source, "gu");
    this.rules = rules;
    this.cut = cut;
    this.known = new RegExp(`^${cut ? rules.spelled.chinese : rules.spelled.plain}$`, "u");
    this.units = new Set(rules.units);
    this.steps = [
      [all(thousands), (found) => found.replaceAll(",", "")],
      [all(decimal), "0."],
      [all(fraction), "$1-"],
      [all(units), (...found) => found[1] + Object.entries(found.at(-1)).find(([, value]) => value !== undefined)[0]],
      [all(between), "$1×"],
      [all(times), "$1x"],
    ];
    this.aside = new RegExp(aside, "giu");
    const longest = [...rules.units].sort((one, other) => other.length - one.length);
    this.measure = new RegExp(`^(${FIGURE})(${longest.join("|")})$`);
  }

  /** Tokens of what a text is about, and of what follows the first "with", "for", comma or bracket. */
  parts(text) {
    this.aside.lastIndex = 1;
    const found = this.aside.exec(text);
    return found ? [this.tokens(text.slice(0, found.index)), this.tokens(text.slice(found.index))] : [this.tokens(text), []];
  }

  /** Whether all that the server makes of a text is known here. */
  spelled(text) {
    return this.known.test(text) && !text.normalize("NFKC").includes("-->");
  }

  /** The tokens of a text, words without their endings. */
  tokens(text) {
    const out = [];
    for (const { groups } of this.folded(text).matchAll(RUN)) out.push(...this.#cut(groups, stem));
    return out;
  }

  /** {count, begun}: how many of a text's tokens, at their end, its last word gave, and that word as it is written. */
  last(text) {
    const groups = [...this.folded(text).matchAll(RUN)].at(-1)?.groups;
    if (!groups) return { count: 0, begun: "" };
    const tokens = this.#cut(groups, (word) => word);
    return groups.han || groups.paired ? { count: 1, begun: tokens.at(-1) } : { count: tokens.length, begun: whole(tokens) };
  }

  /** The form of a text used to compare it: without case, one spelling for numbers and units. */
  folded(text) {
    const plain = folded(text);
    if (!/\d/.test(plain)) return plain;
    return this.steps.reduce((found, [pattern, other]) => found.replace(pattern, other), plain);
  }

  /** {code, kind, figures, grams: bits, count} of a token. */
  term(token) {
    const [kind, ...figures] = this.#kind(token);
    const grams = new Uint32Array(this.rules.grams / 32);
    for (const gram of pieces([...token].slice(0, LETTERS))) {
      const bit = crc(gram) % this.rules.grams;
      grams[bit >>> 5] |= 1 << (bit & 31);
    }
    return { code: code(token), kind, figures, grams, count: grams.reduce((sum, word) => sum + bits(word), 0) };
  }

  /** The code of two tokens written as one word. */
  joined(one, two) {
    return code(this.tokens(one + two)[0] ?? "");
  }

  #cut({ number, tail, han, paired, word }, stemmed) {
    if (word) return /\p{Nd}/u.test(word) ? split(word) : [stemmed(word)];
    if (han) return this.cut ? this.cut(han) : [han];
    if (paired) return pairs(paired);
    if (!tail) return [number];
    return this.units.has(tail) ? [number, number + tail] : split(number + tail);
  }

  #kind(token) {
    if (ONLY_NUMBER.test(token)) return [NUMBER, code(valued(token))];
    const measure = this.measure.exec(token);
    if (measure) return [MEASURE, code(valued(measure[1]) + measure[2]), code(measure[2])];
    const digits = token.replace(/\D/g, "").length;
    const whole = digits === token.length;
    return (whole ? digits >= 5 : digits > 0 && token.length >= 3) ? [MODEL, code(token)] : [WORD];
  }
}

/** Characters and pairs of them where words are not spaced; elsewhere trigrams of the token with its ends marked. */
function pieces(letters) {
  if (UNSPACED.test(letters.join(""))) return [...letters, ...letters.slice(1).map((letter, at) => letters[at] + letter)];
  const marked = ["^", ...letters, "$"];
  return marked.slice(2).map((letter, at) => marked[at] + marked[at + 1] + letter);
}

function pairs(run) {
  const letters = [...run];
  return letters.length > 1 ? letters.slice(1).map((letter, at) => letters[at] + letter) : letters;
}

function split(word) {
  const parts = word.match(PARTS) ?? [];
  return parts.length === 2 || DIMENSIONS.test(word) ? [word, ...parts] : [word];
}

/** Of the tokens of one word the word itself. */
export const whole = (tokens) => tokens.reduce((found, token) => (token.length > found.length ? token : found));

/** A number as it is compared: 3/4 and 0.75 are one. */
function valued(number) {
  const cut = number.lastIndexOf("-");
  const rest = number.slice(cut + 1);
  const stroke = rest.indexOf("/");
  const parts = [cut < 0 ? "0" : number.slice(0, cut), stroke < 0 ? rest : rest.slice(0, stroke), stroke < 0 ? "1" : rest.slice(stroke + 1)];
  if (!parts.every((part) => /^\d+(?:\.\d+)?$/.test(part)) || Number(parts[2]) === 0) return number;
  return short(Number(parts[0]) + Number(parts[1]) / Number(parts[2]));
}

/** A number in six digits, as Python's format "g" writes it. */
function short(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : "inf";
  if (value === 0) return "0";
  const exact = value.toExponential(100);
  // A tie goes to the even digit.
  const tie = /^(\d\.\d{4}[02468])50*e/.exec(exact);
  const [digits, power] = (tie ? tie[1] + exact.slice(exact.indexOf("e")) : value.toExponential(5)).split("e");
  const exponent = Number(power);
  const bare = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (exponent < -4 || exponent >= 6) {
    return `${bare(digits)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  return bare(Number(`${digits}e${power}`).toFixed(Math.max(5 - exponent, 0)));
}

/** How many bits of a word of 32 are set. */
export function bits(word) {
  let value = word - ((word >>> 1) & 0x55555555);
  value = (value & 0x33333333) + ((value >>> 2) & 0x33333333);
  return (((value + (value >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}
