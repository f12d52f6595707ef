// Products of blocks that lie in the cache, as called from loops, and the packing of their operands.
#pragma once
#include "transposition.h"
#include <cstring>

namespace loops {

/// The sizes of C [m, n] = A [m, k] B [k, n]: rows of A and C are these strides apart, rows of B follow the packed order.
struct BlockSizes {
    int64_t m, n, k, strideA, strideB, strideC;
};

/// C = A B, or C += A B, with float32 sums. B is packed.
template <class T> struct BlockProduct {
    void (*function)(void *failure, const BlockSizes &sizes, bool isSum, const T *a, const T *b, float *c);
    void (*release)();  // called by a thread when it has finished multiplying: some processors have units that must be released
    void *failure;

    INLINE void operator()(const BlockSizes &sizes, bool isSum, const T *a, const T *b, float *c) const {
        function(failure, sizes, isSum, a, b, c);
    }
};

/// Workspace for threads, `bytes` for each, aligned to 64.
struct ThreadSpace {
    char *begin;
    int64_t bytes;
    int (*thread)();

    INLINE char *own() const { return begin + thread() * bytes; }
};

/// Lays out arrays one after another, each aligned to 64 bytes.
struct Layout {
    char *begin;
    int64_t bytes = 0;

    template <class Number> void take(Number *&array, int64_t count) {
        array = reinterpret_cast<Number *>(begin + bytes);
        bytes += (count * (int64_t)sizeof(Number) + 63) / 64 * 64;
    }
};

/// Two 16-bit numbers lie together in a packed operand, since processors multiply them in pairs.
template <class T> constexpr int64_t pairing = 4 / sizeof(T);

/// Packs two 16-bit numbers into a word.
template <class T> INLINE uint32_t paired(T low, T high) {
    return __builtin_bit_cast(BFloat16, low) | (uint32_t)__builtin_bit_cast(BFloat16, high) << 16;
}

/// Packs B [k, n] from its rows, `stride` apart: [k / pairing, n, pairing].
template <class T> INLINE void packRows(const T *rows, int64_t stride, int64_t k, int64_t n, T *__restrict packed) {
    for (int64_t i = 0; i < k; i += pairing<T>) {
        const T *first = rows + i * stride;
        if constexpr (pairing<T> == 1) {
            std::memcpy(packed + i * n, first, (size_t)n * sizeof(T));
        } else {
            for (int64_t j = 0; j < n; j++) {
                const uint32_t word = paired(first[j], first[stride + j]);
                std::memcpy(packed + i * n + 2 * j, &word, 4);
            }
        }
    }
}

/// Packs B [k, n] from its columns, `stride` apart.
template <class T> INLINE void packColumns(const T *columns, int64_t stride, int64_t k, int64_t n, T *__restrict packed) {
    transposeWords(columns, stride * (int64_t)sizeof(T), n, k / pairing<T>, packed, n);
}

/// Transposes [rows, columns] with rows `stride` apart into rows `toStride` apart; `words` has room for columns / pairing of
/// them.
template <class T>
INLINE void transpose(const T *from, int64_t stride, int64_t rows, int64_t columns, uint32_t *__restrict words,
                      T *__restrict to, int64_t toStride) {
    if constexpr (pairing<T> == 1) return transposeWords(from, stride * 4, rows, columns, to, toStride);
    transposeWords(from, stride * (int64_t)sizeof(T), rows, columns / 2, words, toStride);
    for (int64_t j = 0; j < columns; j += 2)
        for (int64_t i = 0; i < rows; i++) {
            to[j * toStride + i] = (T)words[j / 2 * toStride + i];
            to[(j + 1) * toStride + i] = (T)(words[j / 2 * toStride + i] >> 16);
        }
}

}  // namespace loops
