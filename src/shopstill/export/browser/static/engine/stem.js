// The Snowball stemmer for English, release 3.1, for words of the letters a to z.
// https://snowballstem.org/algorithms/english/stemmer.html

const KEPT = new Map(
  Object.entries({
    skis: "ski", skies: "sky", idly: "idl", gently: "gentl", ugly: "ugli", early: "earli", only: "onli", singly: "singl",
    andes: "andes", atlas: "atlas", bias: "bias", cosmos: "cosmos", howe: "howe", news: "news", sky: "sky",
  }),
);
const REGION = /^(?:arsen|commun|emerg|gener|inter|later|organ|past|univers)/;
const SHORT = /[^aeiouy][aeiouy][^aeiouywxY]$|^[aeiouy][^aeiouy]$|past$/;
const WHOLE_ING = /^(?:even|cann|inn|earr|herr|out)$/;

const SECOND = {
  tional: "tion", enci: "ence", anci: "ance", abli: "able", entli: "ent", izer: "ize", ization: "ize", ational: "ate", ation: "ate", ator: "ate",
  alism: "al", aliti: "al", alli: "al", fulness: "ful", fulli: "ful", ousli: "ous", ousness: "ous", iveness: "ive", iviti: "ive", biliti: "ble",
  bli: "ble", ogist: "og", ogi: "og", lessli: "less", li: "",
};
const THIRD = { tional: "tion", ational: "ate", alize: "al", icate: "ic", iciti: "ic", ical: "ic", ful: "", ness: "", ative: "" };
const FOURTH = "al ance ence er ic able ible ant ement ment ent ism ate iti ous ive ize ion";

const ending = (names) => new RegExp(`(?:${[...names].sort((one, other) => other.length - one.length).join("|")})$`);
const [SECOND_END, THIRD_END, FOURTH_END] = [ending(Object.keys(SECOND)), ending(Object.keys(THIRD)), ending(FOURTH.split(" "))];

/** The stem of a word in small letters. */
export function stem(word) {
  if (KEPT.has(word)) return KEPT.get(word);
  if (word.length < 3) return word;
  const begun = consonants(word);
  const [one, two] = regions(begun);
  let out = third(second(ys(past(plural(begun), one)), one), one, two);
  out = last(fourth(out, two), one, two);
  return out.replaceAll("Y", "y");
}

/** The word with a capital for each y that is a consonant. */
function consonants(word) {
  const letters = [...word];
  if (letters[0] === "y") letters[0] = "Y";
  for (let at = 1; at < letters.length; at += 1) {
    if (letters[at] === "y" && /[aeiouy]/.test(letters[at - 1])) letters[at] = "Y";
  }
  return letters.join("");
}

function regions(word) {
  const behind = (from) => {
    const found = /[aeiouy][^aeiouy]/.exec(word.slice(from));
    return found ? from + found.index + 2 : word.length;
  };
  const one = REGION.exec(word)?.[0].length ?? behind(0);
  return [one, behind(one)];
}

function plural(word) {
  if (word.endsWith("sses")) return word.slice(0, -2);
  if (/ie[ds]$/.test(word)) return word.slice(0, word.length > 4 ? -2 : -1);
  if (/[us]s$/.test(word)) return word;
  return /[aeiouy].+s$/.test(word) ? word.slice(0, -1) : word;
}

function past(word, one) {
  const found = /(?:eedly|eed|edly|ed|ingly|ing)$/.exec(word);
  if (!found) return word;
  const before = word.slice(0, found.index);
  if (found[0].startsWith("eed")) {
    return found.index >= one && !/^(?:succ|proc|exc)$/.test(before) ? `${before}ee` : word;
  }
  if (found[0] === "ing") {
    if (/^[^aeiouy]y$/.test(before)) return `${before[0]}ie`;
    if (WHOLE_ING.test(before)) return word;
  }
  return /[aeiouy]/.test(before) ? mended(before, one) : word;
}

function mended(word, one) {
  if (/(?:at|bl|iz)$/.test(word)) return `${word}e`;
  if (/(?:bb|dd|ff|gg|mm|nn|pp|rr|tt)$/.test(word)) return /^[aeo]..$/.test(word) ? word : word.slice(0, -1);
  return word.length === one && SHORT.test(word) ? `${word}e` : word;
}

const ys = (word) => (/.[^aeiouy][yY]$/.test(word) ? `${word.slice(0, -1)}i` : word);

function second(word, one) {
  const found = SECOND_END.exec(word);
  if (!found || found.index < one) return word;
  const before = word.slice(0, found.index);
  if (found[0] === "ogi" && !before.endsWith("l")) return word;
  if (found[0] === "li" && !/[cdeghkmnrt]$/.test(before)) return word;
  return before + SECOND[found[0]];
}

function third(word, one, two) {
  const found = THIRD_END.exec(word);
  if (!found || found.index < (found[0] === "ative" ? Math.max(one, two) : one)) return word;
  return word.slice(0, found.index) + THIRD[found[0]];
}

function fourth(word, two) {
  const found = FOURTH_END.exec(word);
  if (!found || found.index < two) return word;
  const before = word.slice(0, found.index);
  return found[0] === "ion" && !/[st]$/.test(before) ? word : before;
}

function last(word, one, two) {
  const before = word.slice(0, -1);
  if (word.endsWith("e")) return before.length >= two || (before.length >= one && !SHORT.test(before)) ? before : word;
  return word.endsWith("ll") && before.length >= two ? before : word;
}
