/* The little of JSON that the guests read: one text, or a list of texts, alone or as the only field of an object. No
 * recursion: what is nested deeper is refused. */
#include <stdlib.h>
#include <string.h>

#include "dunlin.h"

typedef struct {
  const uint8_t *at, *end;
} cursor;

static void skip_space(cursor *json) {
  while (json->at < json->end && memchr(" \t\n\r", *json->at, 4) != NULL)
    json->at++;
}

/* Takes the character if it is next, after any space. */
static bool take(cursor *json, char character) {
  skip_space(json);
  if (json->at == json->end || *json->at != (uint8_t)character)
    return false;
  json->at++;
  return true;
}

static bool hex4(cursor *json, uint32_t *code) {
  *code = 0;
  for (int i = 0; i < 4; i++, json->at++) {
    if (json->at == json->end)
      return false;
    uint8_t c = *json->at;
    int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
    if (digit < 0)
      return false;
    *code = *code << 4 | (uint32_t)digit;
  }
  return true;
}

static void add_utf8(dunlin_buffer *bytes, uint32_t code) {
  uint8_t text[4];
  size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = length; i-- > 1; code >>= 6)
    text[i] = (uint8_t)(0x80 | (code & 0x3f));
  static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  text[0] = (uint8_t)(lead[length] | code);
  dunlin_add(bytes, text, length);
}

static bool escape(cursor *json, dunlin_buffer *bytes) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (json->at == json->end)
    return false;
  uint8_t name = *json->at++;
  const char *found = name == 0 ? NULL : strchr(names, name);
  if (found != NULL) {
    dunlin_add(bytes, &values[found - names], 1);
    return true;
  }
  uint32_t code, low;
  if (name != 'u' || !hex4(json, &code))
    return false;
  if (code >= 0xd800 && code < 0xe000) {
    /* The first half of a pair; a half alone is no character. */
    if (code >= 0xdc00 || json->end - json->at < 2 || json->at[0] != '\\' || json->at[1] != 'u')
      return false;
    json->at += 2;
    if (!hex4(json, &low) || low < 0xdc00 || low >= 0xe000)
      return false;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  add_utf8(bytes, code);
  return true;
}

/* Length of the character that begins here, 0 when it is not UTF-8. */
static size_t utf8_length(const cursor *json) {
  const uint8_t *at = json->at;
  size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;
  if (length == 0 || (size_t)(json->end - at) < length)
    return 0;
  for (size_t i = 1; i < length; i++)
    if ((at[i] & 0xc0) != 0x80)
      return 0;
  bool surrogate = at[0] == 0xed && at[1] >= 0xa0, overlong = at[0] == 0xe0 && at[1] < 0xa0;
  bool overlong4 = at[0] == 0xf0 && at[1] < 0x90, beyond = at[0] == 0xf4 && at[1] >= 0x90;
  return surrogate || overlong || overlong4 || beyond ? 0 : length;
}

/* Appends the decoded text to `bytes`. */
static bool string(cursor *json, dunlin_buffer *bytes) {
  if (!take(json, '"'))
    return false;
  while (json->at < json->end && *json->at != '"') {
    if (*json->at == '\\') {
      json->at++;
      if (!escape(json, bytes))
        return false;
      continue;
    }
    size_t length = utf8_length(json);
    if (length == 0 || *json->at < 0x20)
      return false;
    dunlin_add(bytes, json->at, length);
    json->at += length;
  }
  return take(json, '"');
}

static bool text(cursor *json, size_t most, dunlin_texts *texts) {
  size_t start = texts->bytes.length;
  if (!string(json, &texts->bytes))
    return false;
  texts->count++;
  if (texts->count > most)
    return false;
  texts->starts[texts->count - 1] = start;
  texts->lengths[texts->count - 1] = texts->bytes.length - start;
  dunlin_add(&texts->bytes, "", 1);
  return !texts->bytes.failed;
}

static bool value(cursor *json, size_t most, dunlin_texts *texts) {
  if (!take(json, '['))
    return text(json, most, texts);
  if (take(json, ']'))
    return true;
  do {
    if (!text(json, most, texts))
      return false;
  } while (take(json, ','));
  return take(json, ']');
}

static bool document(cursor *json, const char *field, size_t most, dunlin_texts *texts) {
  if (field == NULL)
    return value(json, most, texts);
  dunlin_buffer name = {0};
  bool matches = take(json, '{') && string(json, &name) && name.length == strlen(field) &&
                 memcmp(name.data, field, name.length) == 0;
  dunlin_free(&name);
  return matches && take(json, ':') && value(json, most, texts) && take(json, '}');
}

bool dunlin_parse_texts(const uint8_t *json, size_t length, const char *field, size_t most, dunlin_texts *texts) {
  *texts = (dunlin_texts){.starts = calloc(most, sizeof(size_t)), .lengths = calloc(most, sizeof(size_t))};
  cursor cursor = {json, json + length};
  bool parsed = texts->starts != NULL && texts->lengths != NULL && document(&cursor, field, most, texts);
  skip_space(&cursor);
  return parsed && cursor.at == cursor.end;
}

const char *dunlin_text(const dunlin_texts *texts, size_t index) {
  return (const char *)texts->bytes.data + texts->starts[index];
}

void dunlin_free_texts(dunlin_texts *texts) {
  dunlin_free(&texts->bytes);
  free(texts->starts);
  free(texts->lengths);
  *texts = (dunlin_texts){0};
}
