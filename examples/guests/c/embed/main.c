/* Sentence embeddings over HTTP: POST /embed tokenizes here, runs the model through wasi-nn, and pools and normalises here. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dunlin.h"
#include "tokenizer.h"

#define MODEL "default"
#define VOCABULARY "/models/default/vocab.txt"
/* Most tokens of one text that are looked at, [CLS] and [SEP] included: what the model was trained with. */
#define MAX_TOKENS 256
#define MAX_TEXTS 64
#define MAX_BODY ((size_t)1 << 20)
#define MAX_VOCABULARY ((size_t)16 << 20)

/* Token ids and attention mask of all texts, both `rows` x `columns`. */
typedef struct {
  int64_t *ids, *mask, *types;
  size_t rows, columns, tokens;
} batch;

/* The tokenizer, read by the first request that an instance serves. */
static const tokenizer *shared_tokenizer(void) {
  static tokenizer words;
  static bool ready;
  dunlin_buffer file = {0};
  if (!ready && dunlin_read_file(VOCABULARY, MAX_VOCABULARY, &file) == 0) {
    ready = tokenizer_open(&words, file.data, file.length);
    if (!ready) {
      dunlin_log("not a vocabulary", VOCABULARY, strlen(VOCABULARY));
      tokenizer_close(&words);
    }
  }
  dunlin_free(&file);
  return ready ? &words : NULL;
}

static void free_batch(batch *batch) {
  free(batch->ids);
  free(batch->mask);
  free(batch->types);
}

/* Fills every text up to the longest. False when memory is used up. */
static bool make_batch(batch *batch, const tokenizer *words, const dunlin_texts *texts) {
  size_t lengths[MAX_TEXTS];
  batch->rows = texts->count;
  int64_t(*rows)[MAX_TOKENS] = calloc(batch->rows, sizeof *rows);
  for (size_t i = 0; rows != NULL && i < batch->rows; i++) {
    lengths[i] = tokenizer_encode(words, dunlin_text(texts, i), texts->lengths[i], rows[i], MAX_TOKENS);
    batch->tokens += lengths[i];
    batch->columns = lengths[i] > batch->columns ? lengths[i] : batch->columns;
  }
  size_t cells = batch->rows * batch->columns;
  batch->ids = calloc(cells, sizeof(int64_t));
  batch->mask = calloc(cells, sizeof(int64_t));
  batch->types = calloc(cells, sizeof(int64_t));
  bool made = rows != NULL && batch->ids != NULL && batch->mask != NULL && batch->types != NULL;
  for (size_t i = 0; made && i < cells; i++) {
    size_t row = i / batch->columns, column = i % batch->columns;
    batch->mask[i] = column < lengths[row];
    batch->ids[i] = batch->mask[i] ? rows[row][column] : words->padding;
  }
  free(rows);
  return made;
}

/* The mean over a text's tokens, scaled to length 1, as a list in JSON. `sum` has room for `width` numbers. */
static void add_embedding(dunlin_buffer *out, const float *hidden, const int64_t *mask, size_t columns, size_t width,
                          float *sum) {
  memset(sum, 0, width * sizeof *sum);
  float count = 0, square = 0;
  for (size_t column = 0; column < columns; column++) {
    if (!mask[column])
      continue;
    count += 1;
    for (size_t i = 0; i < width; i++)
      sum[i] += hidden[column * width + i];
  }
  for (size_t i = 0; i < width; i++) {
    sum[i] /= count;
    square += sum[i] * sum[i];
  }
  /* The smallest length that the reference implementation divides by. */
  float length = fmaxf(sqrtf(square), 1e-12f);
  for (size_t i = 0; i < width; i++) {
    dunlin_add_text(out, i == 0 ? "[" : ",");
    dunlin_add_number(out, sum[i] / length);
  }
  dunlin_add_text(out, "]");
}

static void answer(dunlin_response *response, const batch *batch, const dunlin_array *hidden) {
  size_t width = hidden->rank == 3 ? hidden->shape[2] : 0;
  bool fits = width > 0 && hidden->shape[0] == batch->rows && hidden->shape[1] == batch->columns;
  float *sum = fits ? malloc(width * sizeof *sum) : NULL;
  if (sum == NULL) {
    dunlin_refuse_status(response, 500);
    return;
  }
  dunlin_buffer *out = &response->body;
  dunlin_add_text(out, "{\"model\":\"" MODEL "\",\"embeddings\":[");
  for (size_t row = 0; row < batch->rows; row++) {
    size_t first = row * batch->columns;
    dunlin_add_text(out, row == 0 ? "" : ",");
    add_embedding(out, hidden->data + first * width, batch->mask + first, batch->columns, width, sum);
  }
  free(sum);
  dunlin_add_text(out, "],\"usage\":{\"tokens\":");
  dunlin_add_number(out, (double)batch->tokens);
  dunlin_add_text(out, "}}");
}

static void embed_texts(const dunlin_texts *texts, dunlin_response *response) {
  const tokenizer *words = shared_tokenizer();
  batch batch = {0};
  dunlin_array hidden = {0};
  int status = words != NULL && make_batch(&batch, words, texts) ? 0 : 500;
  if (status == 0) {
    const dunlin_input inputs[] = {
        {"input_ids", DUNLIN_I64, 2, {(uint32_t)batch.rows, (uint32_t)batch.columns}, batch.ids},
        {"attention_mask", DUNLIN_I64, 2, {(uint32_t)batch.rows, (uint32_t)batch.columns}, batch.mask},
        {"token_type_ids", DUNLIN_I64, 2, {(uint32_t)batch.rows, (uint32_t)batch.columns}, batch.types},
    };
    status = dunlin_run(MODEL, inputs, 3, "last_hidden_state", 3, &hidden);
  }
  if (status == 0)
    answer(response, &batch, &hidden);
  else
    dunlin_refuse_status(response, status);
  free(hidden.data);
  free_batch(&batch);
}

static void embed(const dunlin_request *request, dunlin_response *response) {
  dunlin_buffer body = {0};
  dunlin_texts texts = {0};
  int status = dunlin_read_body(request, MAX_BODY, &body);
  bool parsed = status == 0 && dunlin_parse_texts(body.data, body.length, "input", MAX_TEXTS, &texts);
  if (status != 0)
    dunlin_refuse_status(response, status);
  else if (texts.count > MAX_TEXTS)
    dunlin_refuse(response, 413, "input holds more than 64 texts");
  else if (!parsed)
    dunlin_refuse(response, 400, "the body must be {\"input\": \"text\"} or {\"input\": [\"text\", ...]}");
  else if (texts.count == 0)
    dunlin_refuse(response, 400, "input must hold at least one text");
  else
    embed_texts(&texts, response);
  dunlin_free_texts(&texts);
  dunlin_free(&body);
}

void dunlin_handle(const dunlin_request *request, dunlin_response *response) {
  if (dunlin_route(request, response, "/embed", "POST"))
    embed(request, response);
}
