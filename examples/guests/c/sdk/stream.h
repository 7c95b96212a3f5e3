/* Streams and strings of the host, as the other files of the SDK use them. Not for guests. */
#ifndef DUNLIN_STREAM_H
#define DUNLIN_STREAM_H

#include "dunlin.h"
#include "http.h"

/* A borrowed text; the host does not keep it. */
http_string_t dunlin_string(const char *text);

/* Appends up to `limit` bytes and one more, which tells that there are more; takes the stream. False when it broke off. */
bool dunlin_drain(wasi_io_streams_own_input_stream_t stream, size_t limit, dunlin_buffer *content);

/* Writes all of it; takes the stream. False when the other side has gone. */
bool dunlin_write(wasi_io_streams_own_output_stream_t stream, const uint8_t *data, size_t length);

#endif
