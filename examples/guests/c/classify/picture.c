#include "picture.h"

#include "dunlin.h"
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define STBI_NO_STDIO
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_MAX_DIMENSIONS 4096
/* A wrong assumption ends the instance, not the service. */
#define STBI_ASSERT(holds) ((holds) ? (void)0 : __builtin_trap())
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

/* Mean and deviation of each colour, from 0 to 1, that the model was trained with. */
static const float MEAN[] = {0.485f, 0.456f, 0.406f}, DEVIATION[] = {0.229f, 0.224f, 0.225f};

static const char NO_ROOM[] = "the picture needs more memory than this service may use";

/* Pixels of a source that one pixel of the result is made of, and their weights. */
typedef struct {
  int first, count;
  float *weights;
} window;

/* A triangle as wide as the scale: neighbours are averaged when the picture shrinks. `weights` has room for side + 2. */
static window triangle(int side, int at, float *weights) {
  float ratio = (float)side / PICTURE_SIZE, scale = fmaxf(ratio, 1), center = ((float)at + 0.5f) * ratio;
  int first = (int)fmaxf(floorf(center - scale), 0), end = (int)fminf(ceilf(center + scale), (float)side);
  float sum = 0;
  for (int i = first; i < end; i++) {
    float distance = fabsf((float)i + 0.5f - center) / scale;
    weights[i - first] = fmaxf(1 - distance, 0);
    sum += weights[i - first];
  }
  for (int i = first; i < end; i++)
    weights[i - first] /= sum;
  return (window){first, end - first, weights};
}

/* Scales the square of `side` pixels at `left`, `top`: rows first, into `wide`, then columns. */
static void scale(const uint8_t *pixels, int width, int left, int top, int side, float *wide, float *weights,
                  float *tensor) {
  for (int y = 0; y < PICTURE_SIZE; y++) {
    window rows = triangle(side, y, weights);
    memset(wide, 0, sizeof *wide * 3 * (size_t)side);
    for (int i = 0; i < rows.count; i++) {
      const uint8_t *row = pixels + 3 * ((size_t)(top + rows.first + i) * (size_t)width + (size_t)left);
      for (int x = 0; x < 3 * side; x++)
        wide[x] += rows.weights[i] * row[x];
    }
    for (int x = 0; x < PICTURE_SIZE; x++) {
      window columns = triangle(side, x, weights);
      for (int colour = 0; colour < 3; colour++) {
        float sum = 0;
        for (int i = 0; i < columns.count; i++)
          sum += columns.weights[i] * wide[3 * (columns.first + i) + colour];
        size_t at = ((size_t)colour * PICTURE_SIZE + (size_t)y) * PICTURE_SIZE + (size_t)x;
        tensor[at] = (roundf(sum) / 255 - MEAN[colour]) / DEVIATION[colour];
      }
    }
  }
}

static bool begins(const uint8_t *file, size_t length, const char *signature, size_t size) {
  return length >= size && memcmp(file, signature, size) == 0;
}

/* Why stb_image decoded nothing. */
static const char *fault(int *status) {
  const char *reason = stbi_failure_reason();
  *status = 413;
  if (strcmp(reason, "too large") == 0)
    return "the picture is larger than 4096 x 4096 pixels";
  if (strcmp(reason, "outofmem") == 0)
    return NO_ROOM;
  dunlin_log("a damaged picture", reason, strlen(reason));
  *status = 400;
  return "the picture is damaged";
}

const char *picture_tensor(const uint8_t *file, size_t length, float **tensor, int *status) {
  if (length > INT_MAX || (!begins(file, length, "\x89PNG\r\n\x1a\n", 8) && !begins(file, length, "\xff\xd8\xff", 3))) {
    *status = 415;
    return "the body is neither a PNG nor a JPEG picture";
  }
  int width, height, colours;
  uint8_t *pixels = stbi_load_from_memory(file, (int)length, &width, &height, &colours, 3);
  if (pixels == NULL)
    return fault(status);
  int side = width < height ? width : height;
  float *wide = malloc(sizeof *wide * 3 * (size_t)side), *weights = malloc(sizeof *weights * ((size_t)side + 2));
  *tensor = malloc(sizeof **tensor * 3 * PICTURE_SIZE * PICTURE_SIZE);
  bool room = wide != NULL && weights != NULL && *tensor != NULL;
  if (room)
    scale(pixels, width, (width - side) / 2, (height - side) / 2, side, wide, weights, *tensor);
  free(pixels);
  free(wide);
  free(weights);
  *status = room ? 200 : 413;
  return room ? NULL : NO_ROOM;
}
