/* wasi:nn: models opened by name once per instance, run with named tensors. */
#include <stdlib.h>
#include <string.h>

#include "stream.h"

/* Models that one guest has open: a guest with more opens the others anew each time. */
#define MAX_OPEN 4

typedef wasi_nn_inference_list_named_tensor_t tensors_t;

static struct {
  const char *name;
  wasi_nn_graph_own_graph_t graph;
} open_models[MAX_OPEN];

/* Logs an error of the host and gives the status for it. Takes the error. */
static int failed(const char *what, wasi_nn_errors_own_error_t error) {
  wasi_nn_errors_borrow_error_t borrowed = wasi_nn_errors_borrow_error(error);
  wasi_nn_errors_error_code_t code = wasi_nn_errors_method_error_code(borrowed);
  http_string_t text;
  wasi_nn_errors_method_error_data(borrowed, &text);
  dunlin_log(what, (const char *)text.ptr, text.len);
  http_string_free(&text);
  wasi_nn_errors_error_drop_own(error);
  switch (code) {
  case WASI_NN_ERRORS_ERROR_CODE_NOT_FOUND:
    return 503;
  case WASI_NN_ERRORS_ERROR_CODE_TOO_LARGE:
    return 413;
  case WASI_NN_ERRORS_ERROR_CODE_TIMEOUT:
    return 504;
  default:
    return 500;
  }
}

static int open_model(const char *name, wasi_nn_graph_borrow_graph_t *graph) {
  size_t slot = 0;
  for (; slot < MAX_OPEN && open_models[slot].name != NULL; slot++)
    if (strcmp(open_models[slot].name, name) == 0) {
      *graph = wasi_nn_graph_borrow_graph(open_models[slot].graph);
      return 0;
    }
  wasi_nn_graph_own_graph_t opened;
  wasi_nn_errors_own_error_t error;
  http_string_t text = dunlin_string(name);
  if (!wasi_nn_graph_load_by_name(&text, &opened, &error))
    return failed(name, error);
  if (slot == MAX_OPEN)
    wasi_nn_graph_graph_drop_own(open_models[--slot].graph);
  open_models[slot].name = name;
  open_models[slot].graph = opened;
  *graph = wasi_nn_graph_borrow_graph(opened);
  return 0;
}

/* The host's copy of an input. */
static wasi_nn_tensor_own_tensor_t tensor(const dunlin_input *input) {
  size_t bytes = input->type == DUNLIN_F32 ? sizeof(float) : sizeof(int64_t);
  for (size_t i = 0; i < input->rank; i++)
    bytes *= input->shape[i];
  wasi_nn_tensor_tensor_dimensions_t shape = {.ptr = (uint32_t *)input->shape, .len = input->rank};
  wasi_nn_tensor_tensor_data_t data = {.ptr = (uint8_t *)input->data, .len = bytes};
  bool is_f32 = input->type == DUNLIN_F32;
  return wasi_nn_tensor_constructor_tensor(
      &shape, is_f32 ? WASI_NN_TENSOR_TENSOR_TYPE_FP32 : WASI_NN_TENSOR_TENSOR_TYPE_I64, &data);
}

static bool shape_of(wasi_nn_tensor_borrow_tensor_t tensor, dunlin_array *array) {
  wasi_nn_tensor_tensor_dimensions_t shape;
  wasi_nn_tensor_method_tensor_dimensions(tensor, &shape);
  bool fits = shape.len <= DUNLIN_MAX_RANK;
  array->rank = fits ? shape.len : 0;
  array->length = 1;
  for (size_t i = 0; i < array->rank; i++) {
    array->shape[i] = shape.ptr[i];
    fits = fits && !__builtin_mul_overflow(array->length, (size_t)shape.ptr[i], &array->length);
  }
  wasi_nn_tensor_tensor_dimensions_free(&shape);
  return fits;
}

/* The output called so, or else the first of that rank; `count` when there is none. */
static size_t choose(const tensors_t *outputs, const char *name, size_t rank) {
  size_t chosen = outputs->len;
  for (size_t i = outputs->len; i-- > 0;) {
    dunlin_array seen;
    if (shape_of(wasi_nn_tensor_borrow_tensor(outputs->ptr[i].f1), &seen) && seen.rank == rank)
      chosen = i;
  }
  for (size_t i = 0; i < outputs->len; i++)
    if (outputs->ptr[i].f0.len == strlen(name) && memcmp(outputs->ptr[i].f0.ptr, name, strlen(name)) == 0)
      return i;
  return chosen;
}

static int take(const tensors_t *outputs, const char *name, size_t rank, dunlin_array *result) {
  size_t index = choose(outputs, name, rank);
  if (index == outputs->len) {
    dunlin_log("the model has no output", name, strlen(name));
    return 500;
  }
  wasi_nn_tensor_borrow_tensor_t tensor = wasi_nn_tensor_borrow_tensor(outputs->ptr[index].f1);
  wasi_nn_tensor_tensor_data_t data;
  if (!shape_of(tensor, result) || wasi_nn_tensor_method_tensor_ty(tensor) != WASI_NN_TENSOR_TENSOR_TYPE_FP32) {
    dunlin_log("not 32-bit floats of a known shape", name, strlen(name));
    return 500;
  }
  wasi_nn_tensor_method_tensor_data(tensor, &data);
  if (data.len / sizeof(float) != result->length || data.len % sizeof(float) != 0) {
    wasi_nn_tensor_tensor_data_free(&data);
    return 500;
  }
  /* What the host hands over was allocated by malloc: it is aligned, and free() takes it. */
  result->data = data.len == 0 ? NULL : (float *)data.ptr;
  return 0;
}

static int compute(wasi_nn_graph_borrow_graph_t graph, const char *model, tensors_t *inputs, tensors_t *outputs) {
  wasi_nn_errors_own_error_t error;
  wasi_nn_inference_own_graph_execution_context_t context;
  if (!wasi_nn_graph_method_graph_init_execution_context(graph, &context, &error))
    return failed(model, error);
  bool computed = wasi_nn_inference_method_graph_execution_context_compute(
      wasi_nn_inference_borrow_graph_execution_context(context), inputs, outputs, &error);
  wasi_nn_inference_graph_execution_context_drop_own(context);
  return computed ? 0 : failed(model, error);
}

int dunlin_run(const char *model, const dunlin_input *inputs, size_t count, const char *output, size_t rank,
               dunlin_array *result) {
  *result = (dunlin_array){0};
  wasi_nn_graph_borrow_graph_t graph;
  int status = open_model(model, &graph);
  if (status != 0)
    return status;
  tensors_t given = {.ptr = calloc(count, sizeof *given.ptr), .len = count}, outputs;
  if (given.ptr == NULL)
    return 500;
  for (size_t i = 0; i < count; i++) {
    given.ptr[i].f0 = dunlin_string(inputs[i].name);
    given.ptr[i].f1 = tensor(&inputs[i]);
  }
  status = compute(graph, model, &given, &outputs);
  free(given.ptr);
  if (status != 0)
    return status;
  status = take(&outputs, output, rank, result);
  for (size_t i = 0; i < outputs.len; i++)
    wasi_nn_tensor_tensor_drop_own(outputs.ptr[i].f1);
  wasi_nn_inference_list_named_tensor_free(&outputs);
  return status;
}
