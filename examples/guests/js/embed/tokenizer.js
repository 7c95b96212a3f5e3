// Text to the token ids that BERT models were trained on: WordPiece, uncased.
//
// Gives what the `tokenizers` library gives for such a model, except that special tokens written in a text are text, and that
// characters which Unicode has classified since that library's tables may be split otherwise.

import { MAPPED, PUNCTUATION, REMOVED, SPACES } from "./target/characters.js";

// Longest word in characters that is split into pieces; longer ones are unknown as a whole.
const MAX_WORD = 100;

// The blocks that BERT's authors call Chinese; kana and hangul are not among them.
const IDEOGRAPHS = [
  0x3400, 0x4dbf, 0x4e00, 0x9fff, 0xf900, 0xfaff, 0x20000, 0x2a6df, 0x2a700, 0x2b73f, 0x2b740, 0x2b81f, 0x2b920, 0x2ceaf,
  0x2f800, 0x2fa1f,
];

/** Whether a code point is in one of the closed ranges of a sorted list. */
function isIn(ranges, code) {
  let low = 0;
  let high = ranges.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[2 * middle + 1] < code) low = middle + 1;
    else high = middle;
  }
  return 2 * low < ranges.length && ranges[2 * low] <= code;
}

/** Decomposed, without accents, in lower case. */
function normal(char, code) {
  if (code < 0xac00 || code > 0xd7a3) return MAPPED.get(char) ?? char;
  const index = code - 0xac00;
  const last = index % 28 === 0 ? "" : String.fromCharCode(0x11a7 + (index % 28));
  return String.fromCharCode(0x1100 + Math.floor(index / 588), 0x1161 + Math.floor((index % 588) / 28)) + last;
}

/** The words of a text, one after the other, so that what is not asked for costs nothing; each is a list of characters. */
function* words(text) {
  let word = [];
  for (const char of text) {
    const code = char.codePointAt(0);
    if (isIn(REMOVED, code)) continue;
    const ideograph = isIn(IDEOGRAPHS, code);
    for (const part of normal(char, code)) {
      const partCode = part.codePointAt(0);
      const space = isIn(SPACES, partCode);
      const alone = ideograph || isIn(PUNCTUATION, partCode);
      if ((space || alone) && word.length > 0) {
        yield word;
        word = [];
      }
      if (alone) yield [part];
      else if (!space) word.push(part);
    }
  }
  if (word.length > 0) yield word;
}

/** Turns texts into token ids. */
export class Tokenizer {
  #ids = new Map();
  #longest = 0;
  #unknown;
  #start;
  #end;

  /** Takes the content of a `vocab.txt`: one piece per line, its number the id. Throws when it is none. */
  constructor(vocabulary) {
    const pieces = vocabulary.trimEnd().split(vocabulary.includes("\r\n") ? "\r\n" : "\n");
    // Plain loops: there are tens of thousands, and each fresh instance reads them.
    for (let id = 0; id < pieces.length; id++) {
      this.#ids.set(pieces[id], id);
      if (pieces[id].length > this.#longest) this.#longest = pieces[id].length;
    }
    const special = (name) => {
      const id = this.#ids.get(name);
      if (id === undefined) throw new Error(`the vocabulary has no token ${name}`);
      return id;
    };
    this.#unknown = special("[UNK]");
    this.#start = special("[CLS]");
    this.#end = special("[SEP]");
    /** The id that fills rows up. */
    this.padding = special("[PAD]");
  }

  /** The ids between [CLS] and [SEP]; what would make more than `limit` is cut off. */
  encode(text, limit) {
    const ids = [this.#start];
    for (const word of words(text)) {
      if (ids.length >= limit - 1) break;
      ids.push(...this.#pieces(word));
    }
    ids.length = Math.min(ids.length, limit - 1);
    ids.push(this.#end);
    return ids;
  }

  /** The longest pieces from left to right; unknown as a whole when a rest begins with no known piece. */
  #pieces(word) {
    if (word.length > MAX_WORD) return [this.#unknown];
    const ids = [];
    for (let begin = 0; begin < word.length; ) {
      const mark = begin === 0 ? "" : "##";
      let end = Math.min(word.length, begin + this.#longest);
      let id;
      for (; end > begin; end--) {
        id = this.#ids.get(mark + word.slice(begin, end).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) return [this.#unknown];
      ids.push(id);
      begin = end;
    }
    return ids;
  }
}
