// A query's tokens and what exact matching knows of them, as shopstill.data.text, units and terms do for plain ASCII.
// The expressions come from there, in student/rules.json.

import { stem } from "./stem.js";

export const [WORD, NUMBER, MEASURE, MODEL] = [0, 1, 2, 3];
const LETTERS = 64;
const RUN = /(\d+(?:-\d+\/\d+|[./]\d+)*)([a-z\d]*)|([a-z\d]+)(?:'s?)?/g;
const PARTS = /\d+|[a-z]{2,}/g;
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
  constructor(rules) {
    const { units, thousands, decimal, fraction, between, times, aside } = rules.expressions;
    const all = (source) => new RegExp(source, "g");
    this.rules = rules;
    this.units = new Set(rules.units);
    this.steps = [
      [all(thousands), (found) => found.replaceAll(",", "")],
      [all(decimal), "0."],
      [all(fraction), "$1-"],
      [all(units), (...found) => found[1] + Object.entries(found.at(-1)).find(([, value]) => value !== undefined)[0]],
      [all(between), "$1×"],
      [all(times), "$1x"],
    ];
    this.aside = new RegExp(aside, "gi");
    const longest = [...rules.units].sort((one, other) => other.length - one.length);
    this.measure = new RegExp(`^(${FIGURE})(${longest.join("|")})$`);
  }

  /** Tokens of what a text is about, and of what follows the first "with", "for", comma or bracket. */
  parts(text) {
    this.aside.lastIndex = 1;
    const found = this.aside.exec(text);
    return found ? [this.tokens(text.slice(0, found.index)), this.tokens(text.slice(found.index))] : [this.tokens(text), []];
  }

  tokens(text) {
    const out = [];
    for (const [, number, tail, word] of this.#folded(text).matchAll(RUN)) {
      if (word) out.push(...(/^[a-z]+$/.test(word) ? [stem(word)] : split(word)));
      else if (!tail) out.push(number);
      else out.push(...(this.units.has(tail) ? [number, number + tail] : split(number + tail)));
    }
    return out;
  }

  #folded(text) {
    const plain = text.split(" ").filter(Boolean).join(" ").toLowerCase();
    if (!/\d/.test(plain)) return plain;
    return this.steps.reduce((found, [pattern, other]) => found.replace(pattern, other), plain);
  }

  /** {code, kind, figures, grams: bits, count} of a token. */
  term(token) {
    const [kind, ...figures] = this.#kind(token);
    const grams = new Uint32Array(this.rules.grams / 32);
    const marked = `^${token.slice(0, LETTERS)}$`;
    for (let at = 0; at + 2 < marked.length; at += 1) {
      const bit = crc(marked.slice(at, at + 3)) % this.rules.grams;
      grams[bit >>> 5] |= 1 << (bit & 31);
    }
    return { code: code(token), kind, figures, grams, count: grams.reduce((sum, word) => sum + bits(word), 0) };
  }

  /** The code of two tokens written as one word. */
  joined(one, two) {
    return code(this.tokens(one + two)[0] ?? "");
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

function split(word) {
  const parts = word.match(PARTS) ?? [];
  return parts.length === 2 || DIMENSIONS.test(word) ? [word, ...parts] : [word];
}

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
