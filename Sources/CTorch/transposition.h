// Transposition in registers, sixteen rows of sixteen words at a time.
#pragma once
#include "numbers.h"
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace loops {

/// Sixteen 32-bit words, which vector units rearrange together.
using Words __attribute__((vector_size(64))) = uint32_t;

/// Stores words, bypassing the caches if `isStreamed`, where they must be aligned.
template <bool isStreamed> INLINE void storeWords(const Words &words, void *to) {
    if constexpr (isStreamed) __builtin_nontemporal_store(words, static_cast<Words *>(to));
    else std::memcpy(to, &words, sizeof words);
}

/// Given two rows that are `distance` apart, one of the two new rows of a transposition by halves.
template <int distance, bool isSecond, size_t... place>
INLINE void exchange(const Words &a, const Words &b, Words &to, std::index_sequence<place...>) {
    to = __builtin_shufflevector(a, b, (isSecond ? place & distance ? 16 + place : place + distance
                                          : place & distance ? 16 + place - distance
                                                             : place)...);
}

template <int distance> INLINE void exchange(Words (&rows)[16]) {
    constexpr auto places = std::make_index_sequence<16>();
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) {
        if (i & distance) continue;
        const Words first = rows[i], second = rows[i + distance];
        exchange<distance, false>(first, second, rows[i], places);
        exchange<distance, true>(first, second, rows[i + distance], places);
    }
}

/// Transposes 32-bit words, [rows, columns] with rows `stride` bytes apart, into [columns, rows] with rows `toStride` words
/// apart.
template <bool isStreamed = false>
INLINE void transposeWords(const void *from, int64_t stride, int64_t rows, int64_t columns, void *to, int64_t toStride) {
    auto source = [&](int64_t row, int64_t column) { return (const char *)from + row * stride + 4 * column; };
    auto target = [&](int64_t column, int64_t row) { return (char *)to + 4 * (column * toStride + row); };
    for (int64_t row = 0; row < rows; row += 16)
        for (int64_t column = 0; column < columns; column += 16) {
            if (rows - row < 16 || columns - column < 16) {
                for (int64_t i = row; i < std::min(rows, row + 16); i++)
                    for (int64_t j = column; j < std::min(columns, column + 16); j++)
                        std::memcpy(target(j, i), source(i, j), 4);
                continue;
            }
            Words tile[16];
            // The pieces of rows are too short for the hardware prefetcher.
            for (int i = 0; i < 16; i++) __builtin_prefetch(source(row + 16 + i, column));
#pragma clang loop unroll(full)
            for (int i = 0; i < 16; i++) std::memcpy(&tile[i], source(row + i, column), 64);
            exchange<8>(tile), exchange<4>(tile), exchange<2>(tile), exchange<1>(tile);
#pragma clang loop unroll(full)
            for (int i = 0; i < 16; i++) storeWords<isStreamed>(tile[i], target(column + i, row));
        }
}

}  // namespace loops
