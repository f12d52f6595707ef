#include "CZlib.h"

#include <limits.h>
#include <zlib.h>

static uInt piece(size_t count) { return count > UINT_MAX ? UINT_MAX : (uInt)count; }

int czlib_inflate(const uint8_t *source, size_t source_count, uint8_t *target, size_t target_count) {
    z_stream stream = {0};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return CZLIB_NO_MEMORY;
    // zlib refuses a null pointer even if no byte is to be written.
    uint8_t nothing;
    stream.next_in = (Bytef *)source;
    stream.next_out = target_count == 0 ? &nothing : target;

    size_t source_left = source_count, target_left = target_count;
    int status = Z_OK;
    while (status == Z_OK) {
        uInt in = piece(source_left), out = piece(target_left);
        stream.avail_in = in;
        stream.avail_out = out;
        status = inflate(&stream, Z_NO_FLUSH);
        source_left -= in - stream.avail_in;
        target_left -= out - stream.avail_out;
    }
    inflateEnd(&stream);

    if (status == Z_MEM_ERROR) return CZLIB_NO_MEMORY;
    if (status == Z_STREAM_END) {
        if (target_left > 0) return CZLIB_TOO_SHORT;
        return source_left > 0 ? CZLIB_CORRUPT : CZLIB_OK;
    }
    // Z_BUF_ERROR: no progress, so either the input or the output buffer is exhausted.
    if (status == Z_BUF_ERROR) return source_left > 0 ? CZLIB_TOO_LONG : CZLIB_TOO_SHORT;
    return CZLIB_CORRUPT;
}

uint32_t czlib_crc32(uint32_t crc, const uint8_t *bytes, size_t count) {
    return count == 0 ? crc : (uint32_t)crc32_z(crc, bytes, count);
}

uint32_t czlib_crc32_combine(uint32_t first, uint32_t second, uint64_t second_count) {
    return (uint32_t)crc32_combine(first, second, (z_off_t)second_count);
}
