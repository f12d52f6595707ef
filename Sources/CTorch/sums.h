// Sums over rows whose bits do not depend on the number of threads: rows are added up inside units, and units in order.
#pragma once
#include "numbers.h"
#include <algorithm>
#include <cstdint>

namespace loops {

/// Adds up `count` rows of each group, the first one first: from [groups, count, D] to [groups, D]. A unit is a group.
struct SumInOrder {
    int64_t count, width;
    const float *from;
    float *to;

    INLINE void operator()(int64_t first, int64_t end) const {
        for (int64_t group = first; group < end; group++) {
            float *__restrict out = to + group * width;
            for (int64_t i = 0; i < width; i++) out[i] = 0;
            for (int64_t row = group * count; row < (group + 1) * count; row++) {
                const float *__restrict in = from + row * width;
                for (int64_t i = 0; i < width; i++) out[i] += in[i];
            }
        }
    }
};

/// Sums over the rows of each unit: from [rows, width] to [units, width]. A unit is `rowsOfUnit` rows.
template <class T> struct ColumnSums {
    static constexpr int64_t rowsOfUnit = 64;
    int64_t rows, width;
    const T *from;
    float *to;

    INLINE void operator()(int64_t first, int64_t end) const {
        for (int64_t unit = first; unit < end; unit++) {
            float *__restrict out = to + unit * width;
            for (int64_t i = 0; i < width; i++) out[i] = 0;
            for (int64_t row = unit * rowsOfUnit; row < std::min(rows, (unit + 1) * rowsOfUnit); row++) {
                const T *__restrict in = from + row * width;
                for (int64_t i = 0; i < width; i++) out[i] += widen(in[i]);
            }
        }
    }
};

}  // namespace loops
