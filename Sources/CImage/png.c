#include "codecs.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

// Deflate expands one byte to at most 1032.
static const uint64_t most_bytes_per_byte = 1032;

typedef struct {
    const uint8_t *bytes;
    size_t count;
    size_t position;
} source;

typedef struct {
    uint8_t *bytes;
    size_t count;
    size_t capacity;
} target;

static void on_error(png_structp png, png_const_charp text) {
    cimage_fail(png_get_error_ptr(png), text);
    png_longjmp(png, 1);
}

static void read_bytes(png_structp png, png_bytep data, size_t count) {
    source *from = png_get_io_ptr(png);
    if (count > from->count - from->position) png_error(png, "the file ends too early");
    memcpy(data, from->bytes + from->position, count);
    from->position += count;
}

static void write_bytes(png_structp png, png_bytep data, size_t count) {
    target *to = png_get_io_ptr(png);
    if (count > to->capacity - to->count) {
        size_t capacity = 2 * (to->capacity + count);
        uint8_t *bytes = realloc(to->bytes, capacity);
        if (!bytes) png_error(png, "no memory for the PNG file");
        to->bytes = bytes;
        to->capacity = capacity;
    }
    memcpy(to->bytes + to->count, data, count);
    to->count += count;
}

static void flush_bytes(png_structp png) { (void)png; }

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

int cimage_png_header(const uint8_t *bytes, size_t count, cimage_header *header, char *message) {
    // The signature, then length, name and fields of IHDR; its checksum is verified while decoding.
    if (count < 26 || memcmp(bytes + 8, "\0\0\0\x0DIHDR", 8) != 0) return cimage_fail(message, "the PNG header is missing");
    static const uint64_t channels[] = {1, 0, 3, 1, 2, 0, 4};
    uint64_t width = big_endian(bytes + 16), height = big_endian(bytes + 20), depth = bytes[24];
    uint64_t colours = bytes[25] < sizeof channels / sizeof *channels ? channels[bytes[25]] : 0;
    if (width == 0 || height == 0 || (width | height) >> 31 || colours == 0 || depth == 0 || depth > 16) {
        return cimage_fail(message, "the PNG header is not valid");
    }
    uint64_t row = width * colours * depth / 8 + 1;
    if (row > UINT64_MAX / height) return cimage_fail(message, "the PNG header is not valid");
    header->format = CIMAGE_PNG;
    header->width = (uint32_t)width;
    header->height = (uint32_t)height;
    header->least_count = row * height / most_bytes_per_byte;
    return 0;
}

int cimage_png_decode(const uint8_t *bytes, size_t count, const cimage_header *header, uint8_t *rgb, char *message) {
    source from = {bytes, count, 0};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, message, on_error, on_error);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return cimage_fail(message, "no memory for the PNG decoder");
    }
    // No variable used after a longjmp is modified after this line.
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        return -1;
    }
    png_set_read_fn(png, &from, read_bytes);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    // Colour profiles, text and similar chunks are ignored, so every remaining warning concerns the pixels and can be treated as
    // an error.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);

    png_read_info(png, info);
    png_set_palette_to_rgb(png);
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    size_t row = (size_t)header->width * 3;
    if (png_get_image_height(png, info) != header->height || png_get_rowbytes(png, info) != row) {
        png_error(png, "the PNG header is not valid");
    }
    for (int pass = 0; pass < passes; pass++) {
        for (uint32_t y = 0; y < header->height; y++) png_read_row(png, rgb + y * row, NULL);
    }
    png_read_end(png, NULL);
    png_destroy_read_struct(&png, &info, NULL);
    return 0;
}

int cimage_encode_png(
    const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t **bytes, size_t *count, char *message) {
    target to = {NULL, 0, 0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, message, on_error, on_error);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return cimage_fail(message, "no memory for the PNG encoder");
    }
    png_set_write_fn(png, &to, write_bytes, flush_bytes);
    if (setjmp(png_jmpbuf(png))) {
        target *left = png_get_io_ptr(png);
        free(left->bytes);
        png_destroy_write_struct(&png, &info);
        return -1;
    }
    png_set_IHDR(
        png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
        PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t y = 0; y < height; y++) png_write_row(png, rgb + (size_t)y * width * 3);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    *bytes = to.bytes;
    *count = to.count;
    return 0;
}

void cimage_free(uint8_t *bytes) { free(bytes); }
