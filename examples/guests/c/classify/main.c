/* Image classification over HTTP: POST /classify decodes a picture here, runs the model through wasi-nn, and gives the
 * likeliest classes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dunlin.h"
#include "picture.h"

#define MODEL "default"
#define LABELS "/models/default/labels.json"
#define MAX_BODY ((size_t)8 << 20)
#define MAX_LABELS_FILE ((size_t)1 << 20)
#define MAX_LABELS 100000
/* Classes in an answer when the client asks for no number, and most that it gets. */
#define USUAL 5
#define MOST 100

/* The number behind `top=` in the query, from 1 to MOST; 0 when it is none. */
static size_t wanted(const char *query) {
  const char *at = query;
  while (at != NULL && strncmp(at, "top=", 4) != 0) {
    at = strchr(at, '&');
    at = at == NULL ? NULL : at + 1;
  }
  if (at == NULL)
    return USUAL;
  size_t number = 0, digits = 0;
  for (at += 4; *at >= '0' && *at <= '9'; at++, digits++)
    number = number >= MOST ? MOST : number * 10 + (size_t)(*at - '0');
  if (digits == 0 || (*at != 0 && *at != '&'))
    return 0;
  return number < 1 ? 1 : number > MOST ? MOST : number;
}

static void add_class(dunlin_buffer *out, size_t class, const dunlin_texts *labels, double score) {
  dunlin_add_text(out, "{\"class\":");
  dunlin_add_number(out, (double)class);
  dunlin_add_text(out, ",\"label\":");
  if (class < labels->count)
    dunlin_add_json(out, dunlin_text(labels, class), labels->lengths[class]);
  else
    dunlin_add_text(out, "null");
  dunlin_add_text(out, ",\"score\":");
  dunlin_add_number(out, score);
  dunlin_add_text(out, "}");
}

/* The `top` likeliest classes, likeliest first; equal ones in the order of their numbers. Overwrites the logits. */
static void answer(dunlin_buffer *out, dunlin_array *logits, const dunlin_texts *labels, size_t top) {
  float largest = -INFINITY, sum = 0;
  for (size_t i = 0; i < logits->length; i++)
    largest = fmaxf(largest, logits->data[i]);
  for (size_t i = 0; i < logits->length; i++)
    sum += logits->data[i] = expf(logits->data[i] - largest);
  dunlin_add_text(out, "{\"model\":\"" MODEL "\",\"labels\":[");
  for (size_t rank = 0; rank < top && rank < logits->length; rank++) {
    size_t best = 0;
    for (size_t i = 1; i < logits->length; i++)
      if (logits->data[i] > logits->data[best])
        best = i;
    dunlin_add_text(out, rank == 0 ? "" : ",");
    add_class(out, best, labels, logits->data[best] / sum);
    logits->data[best] = -1;
  }
  dunlin_add_text(out, "]}");
}

/* The names of the classes; none when the model came without. */
static void read_labels(dunlin_texts *labels) {
  dunlin_buffer file = {0};
  if (dunlin_read_file(LABELS, MAX_LABELS_FILE, &file) == 0 &&
      !dunlin_parse_texts(file.data, file.length, NULL, MAX_LABELS, labels)) {
    dunlin_log("not a list of names", LABELS, strlen(LABELS));
    dunlin_free_texts(labels);
  }
  dunlin_free(&file);
}

static void classify_tensor(const float *tensor, size_t top, dunlin_response *response) {
  const dunlin_input input = {"input", DUNLIN_F32, 4, {1, 3, PICTURE_SIZE, PICTURE_SIZE}, tensor};
  dunlin_array logits;
  int status = dunlin_run(MODEL, &input, 1, "logits", 2, &logits);
  if (status != 0) {
    dunlin_refuse_status(response, status);
    return;
  }
  dunlin_texts labels = {0};
  read_labels(&labels);
  answer(&response->body, &logits, &labels, top);
  dunlin_free_texts(&labels);
  free(logits.data);
}

static void classify(const dunlin_request *request, dunlin_response *response) {
  size_t top = wanted(request->query);
  if (top == 0) {
    dunlin_refuse(response, 400, "top must be a number");
    return;
  }
  dunlin_buffer body = {0};
  int status = dunlin_read_body(request, MAX_BODY, &body);
  if (status != 0) {
    dunlin_refuse_status(response, status);
  } else {
    float *tensor = NULL;
    const char *fault = picture_tensor(body.data, body.length, &tensor, &status);
    if (fault != NULL)
      dunlin_refuse(response, status, fault);
    else
      classify_tensor(tensor, top, response);
    free(tensor);
  }
  dunlin_free(&body);
}

void dunlin_handle(const dunlin_request *request, dunlin_response *response) {
  if (dunlin_route(request, response, "/classify", "POST"))
    classify(request, response);
}
