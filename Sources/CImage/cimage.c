#include "codecs.h"

#include <string.h>

int cimage_fail(char *message, const char *text) {
    strncpy(message, text, CIMAGE_MESSAGE_COUNT - 1);
    message[CIMAGE_MESSAGE_COUNT - 1] = 0;
    return -1;
}

int cimage_read_header(const uint8_t *bytes, size_t count, cimage_header *header, char *message) {
    memset(header, 0, sizeof *header);
    if (count >= 3 && memcmp(bytes, "\xFF\xD8\xFF", 3) == 0) return cimage_jpeg_header(bytes, count, header, message);
    if (count >= 8 && memcmp(bytes, "\x89PNG\r\n\x1A\n", 8) == 0) return cimage_png_header(bytes, count, header, message);
    header->format = CIMAGE_UNKNOWN;
    return 0;
}

int cimage_decode(const uint8_t *bytes, size_t count, const cimage_header *header, uint8_t *rgb, char *message) {
    switch (header->format) {
    case CIMAGE_JPEG: return cimage_jpeg_decode(bytes, count, header, rgb, message);
    case CIMAGE_PNG: return cimage_png_decode(bytes, count, header, rgb, message);
    default: return cimage_fail(message, "neither JPEG nor PNG");
    }
}
