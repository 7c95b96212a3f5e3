/* The models' files: read-only, below the folders that the host grants. */
#include <string.h>

#include "stream.h"

typedef wasi_filesystem_preopens_list_tuple2_own_descriptor_string_t folders_t;

/* Length of a granted folder's name when `path` is in it, 0 otherwise. */
static size_t inside(const http_string_t *folder, const char *path) {
  size_t length = folder->len;
  bool same = length > 0 && strlen(path) > length && memcmp(folder->ptr, path, length) == 0;
  return same && path[length] == '/' ? length : 0;
}

static bool read(wasi_filesystem_types_borrow_descriptor_t folder, const char *name, size_t limit, dunlin_buffer *content) {
  wasi_filesystem_types_error_code_t error;
  wasi_filesystem_types_own_descriptor_t file;
  wasi_io_streams_own_input_stream_t stream;
  http_string_t path = dunlin_string(name);
  if (!wasi_filesystem_types_method_descriptor_open_at(folder, WASI_FILESYSTEM_TYPES_PATH_FLAGS_SYMLINK_FOLLOW, &path, 0,
                                                       WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_READ, &file, &error))
    return false;
  wasi_filesystem_types_borrow_descriptor_t borrowed = wasi_filesystem_types_borrow_descriptor(file);
  bool whole = wasi_filesystem_types_method_descriptor_read_via_stream(borrowed, 0, &stream, &error) &&
               dunlin_drain(stream, limit, content);
  wasi_filesystem_types_descriptor_drop_own(file);
  return whole && !content->failed && content->length <= limit;
}

int dunlin_read_file(const char *path, size_t limit, dunlin_buffer *content) {
  folders_t folders;
  wasi_filesystem_preopens_get_directories(&folders);
  bool found = false;
  for (size_t i = 0; i < folders.len; i++) {
    size_t length = inside(&folders.ptr[i].f1, path);
    if (length > 0 && !found)
      found = read(wasi_filesystem_types_borrow_descriptor(folders.ptr[i].f0), path + length + 1, limit, content);
    wasi_filesystem_types_descriptor_drop_own(folders.ptr[i].f0);
  }
  wasi_filesystem_preopens_list_tuple2_own_descriptor_string_free(&folders);
  if (!found)
    dunlin_log("cannot read", path, strlen(path));
  return found ? 0 : 500;
}
