/* A Dunlin guest in C: requests in, responses out, models by name, the models' files.
 *
 * A guest defines dunlin_handle(); the SDK calls it once per request. All of it is synchronous: while a guest waits, the host
 * runs others. Functions that can fail return 0, or the HTTP status that says whose fault it is; details go to the log. */
#ifndef DUNLIN_H
#define DUNLIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that grow. All zero is empty; `failed` is set, and nothing added any more, once memory is used up. */
typedef struct {
  uint8_t *data;
  size_t length, capacity;
  bool failed;
} dunlin_buffer;

void dunlin_add(dunlin_buffer *buffer, const void *data, size_t length);
void dunlin_add_text(dunlin_buffer *buffer, const char *text);
/* A number in as many digits as tell it from its neighbours. */
void dunlin_add_number(dunlin_buffer *buffer, double number);
/* A string in JSON, with its quotes. */
void dunlin_add_json(dunlin_buffer *buffer, const char *text, size_t length);
void dunlin_free(dunlin_buffer *buffer);

/* One line in the log. */
void dunlin_log(const char *what, const char *detail, size_t detail_length);

typedef struct {
  const char *method; /* "GET", "POST", ... */
  const char *path;   /* without the query */
  const char *query;  /* without its question mark; empty when there is none */
  uint32_t handle;    /* the SDK's */
} dunlin_request;

typedef struct {
  uint16_t status;          /* 200 unless set */
  const char *content_type; /* application/json unless set */
  const char *allow;        /* header `allow`, for 405 */
  dunlin_buffer body;
} dunlin_response;

/* What the guest defines. */
void dunlin_handle(const dunlin_request *request, dunlin_response *response);

/* For a guest of one path: true when the request is for it, with that method. Otherwise it is answered: GET /healthz, another
 * method, another path. */
bool dunlin_route(const dunlin_request *request, dunlin_response *response, const char *path, const char *method);

/* Reads the whole body of at most `limit` bytes: 0, 413 when it is longer, 400 when it does not arrive whole. Once. */
int dunlin_read_body(const dunlin_request *request, size_t limit, dunlin_buffer *body);
/* Answers {"error": {"message": ...}}. */
void dunlin_refuse(dunlin_response *response, int status, const char *message);
/* The same, with the usual sentence for a status that a function of the SDK returned. */
void dunlin_refuse_status(dunlin_response *response, int status);

/* Reads a file such as "/models/default/vocab.txt" of at most `limit` bytes: 0 or 500. */
int dunlin_read_file(const char *path, size_t limit, dunlin_buffer *content);

/* Texts of a document in JSON, decoded, each followed by a zero byte in `bytes`. */
typedef struct {
  dunlin_buffer bytes;
  size_t *starts, *lengths;
  size_t count;
} dunlin_texts;

/* Reads `"text"` or `["text", ...]`; with `field`, an object whose only field is that. False when it is something else, holds
 * more than `most` texts (then `count` is `most` + 1), or is not UTF-8. */
bool dunlin_parse_texts(const uint8_t *json, size_t length, const char *field, size_t most, dunlin_texts *texts);
const char *dunlin_text(const dunlin_texts *texts, size_t index);
void dunlin_free_texts(dunlin_texts *texts);

#define DUNLIN_MAX_RANK 8

typedef enum { DUNLIN_F32, DUNLIN_I64 } dunlin_type;

/* An input: numbers of the guest, row-major, that are handed to the host by copy. */
typedef struct {
  const char *name;
  dunlin_type type;
  size_t rank;
  uint32_t shape[DUNLIN_MAX_RANK];
  const void *data;
} dunlin_input;

/* An output: `length` numbers, as many as the shape says. Free `data`. */
typedef struct {
  size_t rank;
  uint32_t shape[DUNLIN_MAX_RANK];
  float *data;
  size_t length;
} dunlin_array;

/* Runs the model that the guest's artifact lists, or its operator grants, under `model`, and takes the output called `output`
 * or, if there is none, the first one of rank `rank`. Opens the model at its first use; the name must stay where it is. 0, 503
 * when there is no such model, 413 over the guest's quota, 504 when the host gave up waiting, 500 otherwise. */
int dunlin_run(const char *model, const dunlin_input *inputs, size_t count, const char *output, size_t rank,
               dunlin_array *result);

#endif
