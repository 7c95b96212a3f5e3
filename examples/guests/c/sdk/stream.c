/* Reading and writing the host's streams, and the log, which is one. */
#include "stream.h"

#include <string.h>

/* Bytes asked for at once: what the host hands over without many calls, and no more than a small guest can take. */
#define CHUNK ((size_t)64 << 10)

/* Why a stream ended: true when it is simply over. Takes the error. */
static bool is_over(const wasi_io_streams_stream_error_t *error) {
  if (error->tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED)
    return true;
  wasi_io_error_error_drop_own(error->val.last_operation_failed);
  return false;
}

http_string_t dunlin_string(const char *text) {
  return (http_string_t){.ptr = (uint8_t *)text, .len = strlen(text)};
}

bool dunlin_drain(wasi_io_streams_own_input_stream_t stream, size_t limit, dunlin_buffer *content) {
  wasi_io_streams_borrow_input_stream_t from = wasi_io_streams_borrow_input_stream(stream);
  wasi_io_streams_stream_error_t error = {.tag = WASI_IO_STREAMS_STREAM_ERROR_CLOSED};
  size_t most = limit < SIZE_MAX ? limit + 1 : limit;
  http_list_u8_t part;
  while (content->length < most && !content->failed) {
    size_t rest = most - content->length;
    if (!wasi_io_streams_method_input_stream_blocking_read(from, rest < CHUNK ? rest : CHUNK, &part, &error))
      break;
    dunlin_add(content, part.ptr, part.len);
    http_list_u8_free(&part);
  }
  bool whole = is_over(&error);
  wasi_io_streams_input_stream_drop_own(stream);
  return whole;
}

/* Waits until the host takes bytes and says how many; 0 when it takes none any more. */
static uint64_t room(wasi_io_streams_borrow_output_stream_t stream) {
  wasi_io_streams_stream_error_t error;
  for (;;) {
    uint64_t bytes;
    if (!wasi_io_streams_method_output_stream_check_write(stream, &bytes, &error)) {
      is_over(&error);
      return 0;
    }
    if (bytes > 0)
      return bytes;
    wasi_io_streams_own_pollable_t ready = wasi_io_streams_method_output_stream_subscribe(stream);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(ready));
    wasi_io_poll_pollable_drop_own(ready);
  }
}

bool dunlin_write(wasi_io_streams_own_output_stream_t stream, const uint8_t *data, size_t length) {
  wasi_io_streams_borrow_output_stream_t to = wasi_io_streams_borrow_output_stream(stream);
  wasi_io_streams_stream_error_t error;
  bool written = true;
  while (written && length > 0) {
    uint64_t most = room(to);
    size_t now = most < length ? (size_t)most : length;
    http_list_u8_t part = {.ptr = (uint8_t *)data, .len = now};
    written = now > 0;
    if (written && !wasi_io_streams_method_output_stream_write(to, &part, &error)) {
      is_over(&error);
      written = false;
    }
    data += now;
    length -= now;
  }
  if (written && !wasi_io_streams_method_output_stream_blocking_flush(to, &error)) {
    is_over(&error);
    written = false;
  }
  wasi_io_streams_output_stream_drop_own(stream);
  return written;
}

void dunlin_log(const char *what, const char *detail, size_t detail_length) {
  dunlin_buffer line = {0};
  dunlin_add_text(&line, what);
  dunlin_add_text(&line, ": ");
  dunlin_add(&line, detail, detail_length);
  dunlin_add_text(&line, "\n");
  dunlin_write(wasi_cli_stderr_get_stderr(), line.data, line.length);
  dunlin_free(&line);
}
