"""Text to the token ids that BERT models were trained on: WordPiece, uncased.

Gives what the `tokenizers` library gives for such a model, except that special tokens written in a text are text, and that
characters which Unicode has classified since that library's tables may be split otherwise.
"""

import unicodedata

MAX_WORD = 100
"""Longest word in characters that is split into pieces; longer ones are unknown as a whole."""

IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""The blocks that BERT's authors call Chinese; kana and hangul are not among them."""


def normal(text: str) -> str:
    """Clean, decomposed, without accents, in lower case; spaces around ideographs and punctuation."""
    decomposed = unicodedata.normalize("NFD", "".join(map(clean, text)))
    kept = (char for char in decomposed if unicodedata.category(char) != "Mn")
    return "".join(f" {char} " if is_punctuation(char) else char for char in "".join(map(str.lower, kept)))


def clean(char: str) -> str:
    if char in "\t\n\r":
        return " "
    if char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if char.isspace():
        return " "
    code = ord(char)
    return f" {char} " if code >= 0x3400 and any(low <= code <= high for low, high in IDEOGRAPHS) else char


def is_punctuation(char: str) -> bool:
    return char in "$+<=>^`|~" or unicodedata.category(char).startswith("P")


class Tokenizer:
    """Turns texts into token ids."""

    def __init__(self, vocabulary: str) -> None:
        """Takes the content of a `vocab.txt`: one piece per line, its number the id. KeyError when it is none."""
        self.ids = {piece: number for number, piece in enumerate(vocabulary.rstrip().split("\n"))}
        self.longest = max(map(len, self.ids))
        self.unknown, self.start, self.end, self.padding = (
            self.ids[name] for name in ("[UNK]", "[CLS]", "[SEP]", "[PAD]")
        )

    def encode(self, text: str, limit: int) -> list[int]:
        """The ids between [CLS] and [SEP]; what would make more than `limit` is cut off."""
        ids = [self.start]
        # No word of the rest can matter: each that is not cut off has at least one id.
        for word in normal(text).split():
            if len(ids) >= limit - 1:
                break
            ids += self.pieces(word)
        return ids[: limit - 1] + [self.end]

    def pieces(self, word: str) -> list[int]:
        """The longest pieces from left to right; unknown as a whole when a rest begins with no known piece."""
        if len(word) > MAX_WORD:
            return [self.unknown]
        ids, begin = [], 0
        while begin < len(word):
            mark = "##" if begin else ""
            for end in range(min(len(word), begin + self.longest), begin, -1):
                found = self.ids.get(mark + word[begin:end])
                if found is not None:
                    break
            else:
                return [self.unknown]
            ids.append(found)
            begin = end
        return ids
