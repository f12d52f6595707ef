#ifndef CIMAGE_H
#define CIMAGE_H

#include <stddef.h>
#include <stdint.h>

enum {
    CIMAGE_UNKNOWN = 0,
    CIMAGE_JPEG = 1,
    CIMAGE_PNG = 2,
};

enum { CIMAGE_MESSAGE_COUNT = 256 };

typedef struct {
    int format;
    uint32_t width;
    uint32_t height;
    /// The minimum number of bytes that a file of this size can have.
    uint64_t least_count;
} cimage_header;

/// Reads what the header declares, without allocating for it; `format` is CIMAGE_UNKNOWN if the content is neither JPEG nor PNG.
///
/// All functions return 0 on success, otherwise -1 with the reason in `message` (CIMAGE_MESSAGE_COUNT bytes).
int cimage_read_header(const uint8_t *bytes, size_t count, cimage_header *header, char *message);

/// Decodes into `rgb`, height x width x 3 bytes as declared by the header; damaged data are an error, not a warning.
///
/// Gray is repeated; alpha and other transparency are dropped; of 16 bits the upper 8 are kept; CMYK with an Adobe marker is
/// taken as inverted; orientation and colour profiles are not applied.
int cimage_decode(const uint8_t *bytes, size_t count, const cimage_header *header, uint8_t *rgb, char *message);

/// Encodes height x width x 3 bytes as PNG into memory that `cimage_free` releases; the same pixels give the same bytes.
int cimage_encode_png(
    const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t **bytes, size_t *count, char *message);

void cimage_free(uint8_t *bytes);

#endif
