/* From a PNG or JPEG file to the tensor that the model takes: the central square, scaled down, normalised by colour. */
#ifndef PICTURE_H
#define PICTURE_H

#include <stddef.h>
#include <stdint.h>

/* Height and width that the model takes. */
#define PICTURE_SIZE 224

/* Gives 3 planes of PICTURE_SIZE x PICTURE_SIZE numbers, to free. Otherwise returns what to tell the client, with a status. */
const char *picture_tensor(const uint8_t *file, size_t length, float **tensor, int *status);

#endif
