/* Bytes that grow, and what is written into them: text, numbers, JSON strings. */
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dunlin.h"

void dunlin_add(dunlin_buffer *buffer, const void *data, size_t length) {
  if (buffer->failed || length == 0)
    return;
  if (length > buffer->capacity - buffer->length) {
    size_t least = buffer->length + length;
    size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
    while (capacity < least && capacity <= SIZE_MAX / 2)
      capacity *= 2;
    uint8_t *grown = least < length || capacity < least ? NULL : realloc(buffer->data, capacity);
    if (grown == NULL) {
      buffer->failed = true;
      return;
    }
    buffer->data = grown;
    buffer->capacity = capacity;
  }
  memcpy(buffer->data + buffer->length, data, length);
  buffer->length += length;
}

void dunlin_add_text(dunlin_buffer *buffer, const char *text) { dunlin_add(buffer, text, strlen(text)); }

void dunlin_add_number(dunlin_buffer *buffer, double number) {
  char digits[32];
  snprintf(digits, sizeof digits, "%.*g", FLT_DECIMAL_DIG, number);
  dunlin_add_text(buffer, digits);
}

void dunlin_add_json(dunlin_buffer *buffer, const char *text, size_t length) {
  dunlin_add_text(buffer, "\"");
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)text[i];
    char escape[8] = {(char)byte};
    if (byte == '"' || byte == '\\')
      snprintf(escape, sizeof escape, "\\%c", byte);
    else if (byte < 0x20)
      snprintf(escape, sizeof escape, "\\u%04x", byte);
    dunlin_add(buffer, escape, byte < 0x20 ? 6 : byte == '"' || byte == '\\' ? 2 : 1);
  }
  dunlin_add_text(buffer, "\"");
}

void dunlin_free(dunlin_buffer *buffer) {
  free(buffer->data);
  *buffer = (dunlin_buffer){0};
}
