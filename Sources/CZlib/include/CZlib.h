#ifndef CZLIB_H
#define CZLIB_H

#include <stddef.h>
#include <stdint.h>

enum {
    CZLIB_OK = 0,
    CZLIB_CORRUPT = 1,
    CZLIB_TOO_LONG = 2,
    CZLIB_TOO_SHORT = 3,
    CZLIB_NO_MEMORY = 4,
};

/// Inflates one raw deflate stream (no zlib or gzip header) that must fill `target` exactly and use all of `source`.
int czlib_inflate(const uint8_t *source, size_t source_count, uint8_t *target, size_t target_count);

/// CRC-32 (ISO 3309, as in ZIP and PNG) continued from `crc` with `count` more bytes; start with 0.
uint32_t czlib_crc32(uint32_t crc, const uint8_t *bytes, size_t count);

/// CRC-32 of two concatenated pieces, from the CRC-32 of each and the length of the second.
uint32_t czlib_crc32_combine(uint32_t first, uint32_t second, uint64_t second_count);

#endif
