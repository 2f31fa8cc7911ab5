// Text as the server cleans it, but for markup and entities, which nobody types.

const PLAIN = /^[ -~]*$/;
const HIDDEN = /[\x00-\x08\x0e-\x1b\x7f-\x9f\xad\u200b\u200e\u200f\u2060\ufeff\u202a-\u202e\u2066-\u2069]/g;
const LOOKS = [[/[\u2120\u2122]/g, " "], [/[\u2018\u2019\u02bc]/g, "'"], [/[\u201c\u201d]/g, '"']];
const [SIGNS, ...QUOTES] = LOOKS;
const ASCII_WORD = /[A-Za-z0-9]+(?:[./'-][A-Za-z0-9]+)*/g;
const LETTER = String.raw`(?:(?![\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\u{20000}-\u{3ffff}])[\p{L}\p{M}\p{N}])`;
const WORD = new RegExp(`${LETTER}+(?:[./'’-]${LETTER}+)*`, "gu");

/** The same look for the same content: for every model. */
export function normalise(text) {
  const shown = PLAIN.test(text) ? text : text.replace(HIDDEN, "").replace(...SIGNS).normalize("NFKC");
  return shown.split(/\s+/).filter(Boolean).join(" ");
}

/** The form of a text that is compared, but for numbers and units. */
export function folded(text) {
  const plain = normalise(text).toLowerCase();
  if (PLAIN.test(plain)) return plain;
  return normalise(QUOTES.reduce((found, [from, to]) => found.replace(from, to), plain)).toLowerCase();
}

/** The words of a text that can be misspelt, where they stand; Chinese is spelt as it is. */
export const spelt = (text) => text.matchAll(PLAIN.test(text) ? ASCII_WORD : WORD);
