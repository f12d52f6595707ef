#ifndef CODECS_H
#define CODECS_H

#include "CImage.h"

/// Stores the error text and returns -1.
int cimage_fail(char *message, const char *text);

int cimage_jpeg_header(const uint8_t *bytes, size_t count, cimage_header *header, char *message);
int cimage_jpeg_decode(const uint8_t *bytes, size_t count, const cimage_header *header, uint8_t *rgb, char *message);
int cimage_png_header(const uint8_t *bytes, size_t count, cimage_header *header, char *message);
int cimage_png_decode(const uint8_t *bytes, size_t count, const cimage_header *header, uint8_t *rgb, char *message);

#endif
