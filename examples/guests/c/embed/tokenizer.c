#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "characters.h"

/* Longest word in characters that is split into pieces; longer ones are unknown as a whole. */
#define MAX_WORD 100

#define COUNT(table) (sizeof(table) / sizeof *(table))
/* Whether `code` is in one of the closed ranges of a table. */
#define IN(table, code) in((const uint32_t *)(table), COUNT(table), code)

static bool in(const uint32_t *ranges, size_t count, uint32_t code) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (ranges[2 * middle + 1] < code)
      low = middle + 1;
    else
      high = middle;
  }
  return low < count && ranges[2 * low] <= code;
}

/* The blocks that BERT's authors call Chinese; kana and hangul are not among them. */
static bool is_ideograph(uint32_t code) {
  return (code >= 0x4e00 && code <= 0x9fff) || (code >= 0x3400 && code <= 0x4dbf) ||
         (code >= 0x20000 && code <= 0x2a6df) || (code >= 0x2a700 && code <= 0x2b73f) ||
         (code >= 0x2b740 && code <= 0x2b81f) || (code >= 0x2b920 && code <= 0x2ceaf) ||
         (code >= 0xf900 && code <= 0xfaff) || (code >= 0x2f800 && code <= 0x2fa1f);
}

/* The character of well-formed UTF-8 that begins at `text`, which moves behind it. */
static uint32_t next(const uint8_t **text) {
  uint32_t code = *(*text)++;
  int more = code < 0x80 ? 0 : code < 0xe0 ? 1 : code < 0xf0 ? 2 : 3;
  code = more == 0 ? code : code & (0x3fu >> more);
  while (more-- > 0)
    code = code << 6 | (*(*text)++ & 0x3f);
  return code;
}

static size_t put(char *text, uint32_t code) {
  if (code < 0x80) {
    text[0] = (char)code;
    return 1;
  }
  size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = length; i-- > 1; code >>= 6)
    text[i] = (char)(0x80 | (code & 0x3f));
  text[0] = (char)((0xf0 << (4 - length) & 0xff) | code);
  return length;
}

static uint32_t hash(const char *text, size_t length) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < length; i++)
    hash = (hash ^ (uint8_t)text[i]) * 16777619u;
  return hash;
}

/* The slot of a piece, or the free one where it would go. */
static size_t slot(const tokenizer *words, const char *piece, size_t length) {
  size_t at = hash(piece, length) & (words->slots - 1);
  for (; words->table[at] != 0; at = (at + 1) & (words->slots - 1)) {
    const char *known = words->text + words->starts[words->table[at] - 1];
    if (strncmp(known, piece, length) == 0 && known[length] == 0)
      break;
  }
  return at;
}

static int32_t find(const tokenizer *words, const char *piece, size_t length) {
  return (int32_t)words->table[slot(words, piece, length)] - 1;
}

bool tokenizer_open(tokenizer *words, const uint8_t *vocabulary, size_t length) {
  *words = (tokenizer){.slots = 1};
  size_t lines = 1;
  for (size_t i = 0; i < length; i++)
    lines += vocabulary[i] == '\n';
  while (words->slots < 2 * lines)
    words->slots *= 2;
  words->text = malloc(length + 1);
  words->starts = calloc(lines, sizeof *words->starts);
  words->table = calloc(words->slots, sizeof *words->table);
  if (words->text == NULL || words->starts == NULL || words->table == NULL || length > INT32_MAX)
    return false;
  memcpy(words->text, vocabulary, length);
  words->text[length] = 0;
  for (size_t start = 0; start < length; words->count++) {
    char *line = words->text + start, *end = memchr(line, '\n', length - start);
    end = end == NULL ? words->text + length : end;
    start = (size_t)(end - words->text) + 1;
    *end = 0;
    if (end > line && end[-1] == '\r')
      *--end = 0;
    size_t size = (size_t)(end - line);
    words->longest = size > words->longest ? size : words->longest;
    words->starts[words->count] = (uint32_t)(line - words->text);
    words->table[slot(words, line, size)] = (uint32_t)words->count + 1;
  }
  words->unknown = find(words, "[UNK]", 5);
  words->start = find(words, "[CLS]", 5);
  words->end = find(words, "[SEP]", 5);
  words->padding = find(words, "[PAD]", 5);
  return words->unknown >= 0 && words->start >= 0 && words->end >= 0 && words->padding >= 0;
}

void tokenizer_close(tokenizer *words) {
  free(words->text);
  free(words->starts);
  free(words->table);
  *words = (tokenizer){0};
}

/* The word that is being read, behind room for the mark of a continuation. Beyond MAX_WORD only `characters` grows. */
typedef struct {
  char text[2 + 4 * MAX_WORD];
  size_t length, characters;
} word;

typedef struct {
  int64_t *ids;
  size_t count, limit;
} output;

static void add(output *out, int32_t id) {
  if (out->count < out->limit)
    out->ids[out->count] = id;
  out->count++;
}

/* Ends a word: appends the longest pieces from left to right, or [UNK] when a rest begins with no known piece. */
static void end_word(const tokenizer *words, word *word, output *out) {
  size_t first = out->count, at = 0;
  bool known = word->characters <= MAX_WORD;
  while (known && at < word->length) {
    /* The mark goes where the last piece was. */
    size_t mark = at > 0 ? 2 : 0;
    char *piece = word->text + 2 + at - mark, kept[2] = {piece[0], piece[1]};
    if (mark > 0)
      memcpy(piece, "##", 2);
    size_t size = word->length - at + mark;
    int32_t id = -1;
    for (size = size < words->longest ? size : words->longest; size > mark; size--)
      if ((id = find(words, piece, size)) >= 0)
        break;
    memcpy(piece, kept, 2);
    known = id >= 0;
    if (known)
      add(out, id);
    at += size - mark;
  }
  if (!known || (word->characters > 0 && word->length == 0)) {
    out->count = first;
    add(out, words->unknown);
  }
  word->length = word->characters = 0;
}

static void push(word *word, uint32_t code) {
  word->characters++;
  if (word->characters <= MAX_WORD)
    word->length += put(word->text + 2 + word->length, code);
}

/* One character after normalisation. */
static void take(const tokenizer *words, word *word, output *out, uint32_t code) {
  bool space = IN(SPACES, code), alone = !space && IN(PUNCTUATION, code);
  if ((space || alone) && word->characters > 0)
    end_word(words, word, out);
  if (!space)
    push(word, code);
  if (alone)
    end_word(words, word, out);
}

/* Decomposed, without accents, in lower case. */
static void normalise(const tokenizer *words, word *word, output *out, uint32_t code) {
  if (code >= 0xac00 && code <= 0xd7a3) {
    uint32_t index = code - 0xac00, last = index % 28;
    take(words, word, out, 0x1100 + index / 588);
    take(words, word, out, 0x1161 + index % 588 / 28);
    if (last > 0)
      take(words, word, out, 0x11a7 + last);
    return;
  }
  size_t low = 0, high = COUNT(MAPS);
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (MAPS[middle].code < code)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == COUNT(MAPS) || MAPS[low].code != code) {
    take(words, word, out, code);
    return;
  }
  for (size_t i = 0; i < MAPS[low].count; i++)
    take(words, word, out, MAPPED[MAPS[low].start + i]);
}

size_t tokenizer_encode(const tokenizer *words, const char *text, size_t length, int64_t *ids, size_t limit) {
  output out = {.ids = ids, .limit = limit - 1};
  word word = {.length = 0};
  add(&out, words->start);
  const uint8_t *at = (const uint8_t *)text, *end = at + length;
  while (at < end && out.count < out.limit) {
    uint32_t code = next(&at);
    bool line = code == '\t' || code == '\n' || code == '\r';
    if (!line && IN(REMOVED, code))
      continue;
    bool ideograph = is_ideograph(code);
    if (ideograph)
      take(words, &word, &out, ' ');
    normalise(words, &word, &out, code);
    if (ideograph)
      take(words, &word, &out, ' ');
  }
  if (word.characters > 0)
    end_word(words, &word, &out);
  size_t count = out.count < out.limit ? out.count : out.limit;
  ids[count] = words->end;
  return count + 1;
}
