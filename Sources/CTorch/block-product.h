// Products of blocks that lie in the cache (block-product.cpp), as called from loops, and the packing of their operands.
#pragma once
#include "hardware-bfloat16.h"
#include "transposition.h"
#include <cstring>

namespace loops {

/// Two 16-bit numbers lie together in a packed operand, since processors multiply them in pairs.
template <class T> constexpr int64_t pairing = 4 / sizeof(T);

/// The left operand of a product, A [m, k]: distances, in numbers, of its rows and of the numbers, or pairs, along k.
template <class T> struct LeftOperand {
    const T *data;
    int64_t row, step;

    /// A from its rows.
    INLINE static LeftOperand ofRows(const T *data, int64_t stride) { return {data, stride, pairing<T>}; }
    /// A from its columns, packed like B; a float32 operand is packed as it lies.
    INLINE static LeftOperand ofColumns(const T *data, int64_t stride) { return {data, pairing<T>, stride * pairing<T>}; }
};

/// Memory that will be read next, for the processor to fetch meanwhile: rows of so many bytes, `stride` bytes apart.
struct Ahead {
    const void *begin = nullptr;
    int64_t rows = 0, bytes = 0, stride = 0;
};

/// C [m, n] = A B + addend for blocks in the cache, with float32 sums in an order that depends on k alone; k is even in bfloat16.
template <class T, class Out> struct BlockProduct {
    int64_t m, n, k;
    LeftOperand<T> a;
    const T *b;  // packed
    int64_t strideB;
    Out *c;
    int64_t strideC;
    const float *addend = nullptr;  // null if there is none; may be C
    int64_t strideAddend = 0;       // 0 if the same row is added to all, such as a bias
    Ahead ahead[2] = {};

    /// Called by one thread, on processors with AVX2 or AVX-512 (for bfloat16, AVX512-BF16); neither throws nor allocates.
    void multiply() const;
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

/// Packs two 16-bit numbers into a word.
template <class T> INLINE uint32_t paired(T low, T high) {
    return __builtin_bit_cast(BFloat16, low) | (uint32_t)__builtin_bit_cast(BFloat16, high) << 16;
}

/// Sixteen pairs of 16-bit numbers as words.
INLINE void pairUp(const void *low, const void *high, Words &words) {
    using Shorts __attribute__((vector_size(32))) = uint16_t;
    Shorts one, other;
    std::memcpy(&one, low, sizeof one), std::memcpy(&other, high, sizeof other);
    words = __builtin_convertvector(one, Words) | __builtin_convertvector(other, Words) << 16;
}

/// The sum of the numbers of a word.
INLINE float sumOfWord(const float *word) { return *word; }
INLINE float sumOfWord(const HardwareBFloat16 *word) {
    uint32_t pair;
    std::memcpy(&pair, word, sizeof pair);
    return __builtin_bit_cast(float, pair << 16) + __builtin_bit_cast(float, pair & 0xFFFF0000);
}

/// Packs B [k, n] from its rows, `stride` apart: [k / pairing, n, pairing]. Streamed rows must be of whole vectors.
template <bool isStreamed = false, class T>
INLINE void packRows(const T *rows, int64_t stride, int64_t k, int64_t n, T *__restrict packed) {
    for (int64_t i = 0; i < k; i += pairing<T>) {
        const T *first = rows + i * stride;
        T *to = packed + i * n;
        if constexpr (pairing<T> == 1) {
            std::memcpy(to, first, (size_t)n * sizeof(T));
        } else {
            const T *second = first + stride;
            int64_t j = 0;
            for (Words words; j + 16 <= n; j += 16) {
                pairUp(first + j, second + j, words);
                storeWords<isStreamed>(words, to + 2 * j);
            }
            for (; j < n; j++) {
                const uint32_t word = paired(first[j], second[j]);
                std::memcpy(to + 2 * j, &word, 4);
            }
        }
    }
}

/// Packs B [k, n] from its columns, `stride` apart.
template <bool isStreamed = false, class T>
INLINE void packColumns(const T *columns, int64_t stride, int64_t k, int64_t n, T *__restrict packed) {
    transposeWords<isStreamed>(columns, stride * (int64_t)sizeof(T), n, k / pairing<T>, packed, n);
}

}  // namespace loops
