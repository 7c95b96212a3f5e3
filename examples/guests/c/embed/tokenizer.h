/* Text to the token ids that BERT models were trained on: WordPiece, uncased. Gives what the `tokenizers` library gives, except
 * that special tokens written in a text are text, and that characters which Unicode has classified since that library's tables
 * may be split otherwise. */
#ifndef TOKENIZER_H
#define TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  char *text;       /* the vocabulary, one piece per line, each ended by a zero byte */
  uint32_t *starts; /* by id: where its piece begins */
  uint32_t *table;  /* ids plus one by hash of their piece; 0 is free */
  size_t count, slots, longest;
  int32_t unknown, start, end, padding;
} tokenizer;

/* Reads a `vocab.txt` of `length` bytes. False when it is none, or memory is used up. */
bool tokenizer_open(tokenizer *tokenizer, const uint8_t *vocabulary, size_t length);

/* Writes at most `limit` (2 or more) ids between [CLS] and [SEP], and returns how many. `text` is UTF-8. */
size_t tokenizer_encode(const tokenizer *tokenizer, const char *text, size_t length, int64_t *ids, size_t limit);

void tokenizer_close(tokenizer *tokenizer);

#endif
