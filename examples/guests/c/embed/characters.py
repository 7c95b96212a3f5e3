"""Writes characters.h: what the tokenizer must know of Unicode, from the tables of the Python that runs this.

Usage: characters.py OUT. The same Python gives the same bytes.
"""

import sys
import unicodedata
from collections.abc import Callable

REMOVED = ("Cc", "Cf", "Co")


def ranges(holds: Callable[[str], bool]) -> list[tuple[int, int]]:
    """The code points for which it holds, as closed ranges; surrogates are no characters."""
    found: list[tuple[int, int]] = []
    for code in range(sys.maxunicode + 1):
        if 0xD800 <= code <= 0xDFFF or not holds(chr(code)):
            continue
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


def mapped(char: str) -> str:
    """Decomposed, without accents, in lower case."""
    parts = unicodedata.normalize("NFD", char)
    return "".join(part.lower() for part in parts if unicodedata.category(part) != "Mn")


def main() -> None:
    removed = ranges(lambda char: char == "\ufffd" or unicodedata.category(char) in REMOVED and char not in "\t\n\r")
    spaces = ranges(str.isspace)
    punctuation = ranges(lambda char: char in "$+<=>^`|~" or unicodedata.category(char).startswith("P"))
    maps, pool = [], []
    for code in range(sys.maxunicode + 1):
        # Hangul syllables are decomposed by arithmetic.
        if 0xD800 <= code <= 0xDFFF or 0xAC00 <= code <= 0xD7A3 or mapped(chr(code)) == chr(code):
            continue
        text = [ord(char) for char in mapped(chr(code))]
        maps.append((code, len(pool), len(text)))
        pool += text
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write(f"/* Unicode {unicodedata.unidata_version}, by characters.py. */\n#include <stdint.h>\n")
        for name, table in (("REMOVED", removed), ("SPACES", spaces), ("PUNCTUATION", punctuation)):
            rows = ",".join(f"{{{low},{high}}}" for low, high in table)
            out.write(f"static const struct {{ uint32_t low, high; }} {name}[] = {{{rows}}};\n")
        rows = ",".join(f"{{{code},{start},{count}}}" for code, start, count in maps)
        out.write(f"static const struct {{ uint32_t code; uint16_t start; uint8_t count; }} MAPS[] = {{{rows}}};\n")
        out.write(f"static const uint32_t MAPPED[] = {{{','.join(map(str, pool))}}};\n")


if __name__ == "__main__":
    main()
