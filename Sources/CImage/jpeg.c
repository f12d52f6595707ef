#include "codecs.h"

#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

// A block of 8x8 pixels takes at least one bit, for its first coefficient. Chroma blocks may cover more pixels, but the luma
// blocks are there too.
static const uint64_t most_pixels_per_byte = 512;

static int fail(tjhandle handle, char *message) {
    cimage_fail(message, tjGetErrorStr2(handle));
    tjDestroy(handle);
    return -1;
}

static int open_jpeg(
    const uint8_t *bytes, size_t count, tjhandle *handle, cimage_header *header, int *colours, char *message) {
    *handle = tjInitDecompress();
    if (!*handle) return cimage_fail(message, "no memory for the JPEG decoder");
    int width = 0, height = 0, sampling = 0;
    if (tjDecompressHeader3(*handle, bytes, count, &width, &height, &sampling, colours) != 0) return fail(*handle, message);
    header->format = CIMAGE_JPEG;
    header->width = (uint32_t)width;
    header->height = (uint32_t)height;
    header->least_count = (uint64_t)width * (uint64_t)height / most_pixels_per_byte;
    return 0;
}

/// Whether the segments before the first scan hold Adobe's marker (APP14).
static int has_adobe_marker(const uint8_t *bytes, size_t count) {
    size_t position = 2;
    while (position + 4 <= count && bytes[position] == 0xFF) {
        uint8_t marker = bytes[position + 1];
        if (marker == 0xFF) {
            position += 1;
            continue;
        }
        size_t length = (size_t)bytes[position + 2] << 8 | bytes[position + 3];
        if (marker == 0xDA) return 0;
        if (marker == 0xEE && length >= 14 && position + 9 <= count && memcmp(bytes + position + 4, "Adobe", 5) == 0) return 1;
        position += 2 + length;
    }
    return 0;
}

static uint8_t product(uint8_t a, uint8_t b) { return (uint8_t)((a * b + 127) / 255); }

static void rgb_from_cmyk(const uint8_t *cmyk, size_t pixels, uint8_t flip, uint8_t *rgb) {
    for (size_t i = 0; i < pixels; i++) {
        uint8_t black = cmyk[4 * i + 3] ^ flip;
        for (size_t c = 0; c < 3; c++) rgb[3 * i + c] = product(cmyk[4 * i + c] ^ flip, black);
    }
}

int cimage_jpeg_header(const uint8_t *bytes, size_t count, cimage_header *header, char *message) {
    tjhandle handle;
    int colours;
    if (open_jpeg(bytes, count, &handle, header, &colours, message) != 0) return -1;
    tjDestroy(handle);
    return 0;
}

int cimage_jpeg_decode(const uint8_t *bytes, size_t count, const cimage_header *expected, uint8_t *rgb, char *message) {
    tjhandle handle;
    cimage_header header;
    int colours;
    if (open_jpeg(bytes, count, &handle, &header, &colours, message) != 0) return -1;
    int width = (int)expected->width, height = (int)expected->height;
    size_t pixels = (size_t)width * (size_t)height;
    int is_cmyk = colours == TJCS_CMYK || colours == TJCS_YCCK;
    uint8_t *target = is_cmyk ? malloc(pixels * 4) : rgb;
    if (!target) {
        tjDestroy(handle);
        return cimage_fail(message, "no memory for the CMYK pixels");
    }
    // TJFLAG_LIMITSCANS: a small progressive file can request thousands of scans over the whole picture.
    int flags = TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT;
    int status =
        tjDecompress2(handle, bytes, count, target, width, 0, height, is_cmyk ? TJPF_CMYK : TJPF_RGB, flags);
    if (is_cmyk) {
        // Samples are stored inverted (255 means no ink), which is what the product below expects.
        if (status == 0) rgb_from_cmyk(target, pixels, has_adobe_marker(bytes, count) ? 0 : 0xFF, rgb);
        free(target);
    }
    if (status != 0) return fail(handle, message);
    tjDestroy(handle);
    return 0;
}
