/* wasi:http/incoming-handler: a request is described to the guest, and its response sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"

/* In the order of wasi:http's variant. */
static const char *const METHODS[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                      "CONNECT", "OPTIONS", "TRACE", "PATCH"};

/* A text with an end, to free. */
static char *terminated(const uint8_t *text, size_t length) {
  char *copy = malloc(length + 1);
  if (copy != NULL) {
    memcpy(copy, text, length);
    copy[length] = 0;
  }
  return copy;
}

static void add_header(wasi_http_types_borrow_fields_t headers, const char *name, const char *value) {
  http_string_t name_text = dunlin_string(name), value_text = dunlin_string(value);
  wasi_http_types_field_value_t field = {.ptr = value_text.ptr, .len = value_text.len};
  wasi_http_types_header_error_t error;
  wasi_http_types_method_fields_append(headers, &name_text, &field, &error);
}

static wasi_http_types_own_fields_t headers_of(const dunlin_response *response) {
  wasi_http_types_own_fields_t headers = wasi_http_types_constructor_fields();
  wasi_http_types_borrow_fields_t fields = wasi_http_types_borrow_fields(headers);
  char length[24];
  snprintf(length, sizeof length, "%zu", response->body.length);
  add_header(fields, "content-type", response->content_type);
  add_header(fields, "content-length", length);
  if (response->allow != NULL)
    add_header(fields, "allow", response->allow);
  return headers;
}

static void send(const dunlin_response *response, exports_wasi_http_incoming_handler_own_response_outparam_t out) {
  wasi_http_types_own_outgoing_response_t outgoing = wasi_http_types_constructor_outgoing_response(headers_of(response));
  wasi_http_types_borrow_outgoing_response_t borrowed = wasi_http_types_borrow_outgoing_response(outgoing);
  wasi_http_types_method_outgoing_response_set_status_code(borrowed, response->status);
  wasi_http_types_own_outgoing_body_t body;
  bool has_body = wasi_http_types_method_outgoing_response_body(borrowed, &body);
  wasi_http_types_result_own_outgoing_response_error_code_t result = {.is_err = false, .val.ok = outgoing};
  wasi_http_types_static_response_outparam_set(out, &result);
  wasi_io_streams_own_output_stream_t stream;
  wasi_http_types_error_code_t error;
  /* A body that is dropped without its end tells the client that it is not whole. */
  if (has_body && wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream) &&
      dunlin_write(stream, response->body.data, response->body.length))
    wasi_http_types_static_outgoing_body_finish(body, NULL, &error);
  else if (has_body)
    wasi_http_types_outgoing_body_drop_own(body);
}

void exports_wasi_http_incoming_handler_handle(exports_wasi_http_incoming_handler_own_incoming_request_t request,
                                               exports_wasi_http_incoming_handler_own_response_outparam_t out) {
  wasi_http_types_borrow_incoming_request_t borrowed = wasi_http_types_borrow_incoming_request(request);
  wasi_http_types_method_t method;
  wasi_http_types_method_incoming_request_method(borrowed, &method);
  http_string_t target = {0};
  bool has_target = wasi_http_types_method_incoming_request_path_with_query(borrowed, &target);
  char *path = terminated(target.ptr, has_target ? target.len : 0);
  char *other = method.tag == WASI_HTTP_TYPES_METHOD_OTHER ? terminated(method.val.other.ptr, method.val.other.len) : NULL;
  char *question = path == NULL ? NULL : strchr(path, '?');
  if (question != NULL)
    *question = 0;
  dunlin_request seen = {
      .method = method.tag < WASI_HTTP_TYPES_METHOD_OTHER ? METHODS[method.tag] : other == NULL ? "" : other,
      .path = path == NULL ? "" : path,
      .query = question == NULL ? "" : question + 1,
      .handle = (uint32_t)request.__handle,
  };
  dunlin_response response = {.status = 200, .content_type = "application/json"};
  dunlin_handle(&seen, &response);
  if (response.body.failed)
    dunlin_refuse_status(&response, 500);
  send(&response, out);
  dunlin_free(&response.body);
  wasi_http_types_incoming_request_drop_own(request);
  wasi_http_types_method_free(&method);
  if (has_target)
    http_string_free(&target);
  free(path);
  free(other);
}

int dunlin_read_body(const dunlin_request *request, size_t limit, dunlin_buffer *body) {
  wasi_http_types_borrow_incoming_request_t incoming = {.__handle = (int32_t)request->handle};
  wasi_http_types_own_incoming_body_t whole;
  wasi_io_streams_own_input_stream_t stream;
  if (!wasi_http_types_method_incoming_request_consume(incoming, &whole))
    return 400;
  bool arrived = wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(whole), &stream) &&
                 dunlin_drain(stream, limit, body);
  wasi_http_types_incoming_body_drop_own(whole);
  if (body->length > limit || body->failed)
    return 413;
  return arrived ? 0 : 400;
}

void dunlin_refuse(dunlin_response *response, int status, const char *message) {
  dunlin_free(&response->body);
  response->status = (uint16_t)status;
  response->content_type = "application/json";
  dunlin_add_text(&response->body, "{\"error\":{\"message\":");
  dunlin_add_json(&response->body, message, strlen(message));
  dunlin_add_text(&response->body, "}}");
}

void dunlin_refuse_status(dunlin_response *response, int status) {
  static const struct {
    int status;
    const char *message;
  } USUAL[] = {
      {400, "the body did not arrive whole"},
      {404, "no such path"},
      {413, "the request is larger than this service takes"},
      {503, "the model is not available"},
      {504, "the model did not answer in time"},
  };
  for (size_t i = 0; i < sizeof USUAL / sizeof *USUAL; i++)
    if (USUAL[i].status == status) {
      dunlin_refuse(response, status, USUAL[i].message);
      return;
    }
  dunlin_refuse(response, 500, "the service failed");
}

bool dunlin_route(const dunlin_request *request, dunlin_response *response, const char *path, const char *method) {
  bool health = strcmp(request->path, "/healthz") == 0;
  const char *right = health ? "GET" : method;
  if (!health && strcmp(request->path, path) != 0) {
    dunlin_refuse_status(response, 404);
  } else if (strcmp(request->method, right) != 0) {
    char message[64];
    snprintf(message, sizeof message, "this path takes %s only", right);
    dunlin_refuse(response, 405, message);
    response->allow = right;
  } else if (health) {
    dunlin_add_text(&response->body, "{\"status\":\"ok\"}");
  } else {
    return true;
  }
  return false;
}
