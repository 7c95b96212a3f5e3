// What the tokenizer must know of Unicode, from the tables of the Node that builds: the engine of the guest has none.

/** The code points that match, as a flat list of closed ranges: low, high, low, high, ... */
function ranges(pattern) {
  const found = [];
  for (let code = 0; code <= 0x10ffff; code++) {
    if (!pattern.test(String.fromCodePoint(code))) continue;
    if (found.at(-1) === code - 1) found[found.length - 1] = code;
    else found.push(code, code);
  }
  return found;
}

/** Decomposed, without accents, in lower case. */
const normal = (char) =>
  [...char.normalize("NFD")]
    .filter((part) => !/\p{Mn}/u.test(part))
    .map((part) => part.toLowerCase())
    .join("");

/** A module that exports REMOVED, SPACES, PUNCTUATION and MAPPED. */
export function characters() {
  const mapped = {};
  for (let code = 0; code <= 0x10ffff; code++) {
    // Halves of pairs are no characters; Hangul syllables are decomposed by arithmetic.
    if (code >= 0xac00 && code <= 0xdfff) continue;
    const char = String.fromCodePoint(code);
    if (normal(char) !== char) mapped[char] = normal(char);
  }
  return [
    `// Unicode ${process.versions.unicode}, by characters.mjs.`,
    `export const REMOVED = ${JSON.stringify(ranges(/^(?:(?![\t\n\r])\p{Cc}|\p{Cf}|\p{Co}|\ufffd)$/u))};`,
    `export const SPACES = ${JSON.stringify(ranges(/^\p{White_Space}$/u))};`,
    `export const PUNCTUATION = ${JSON.stringify(ranges(/^[\p{P}$+<=>^\x60|~]$/u))};`,
    `export const MAPPED = new Map(${JSON.stringify(Object.entries(mapped))});`,
    "",
  ].join("\n");
}
