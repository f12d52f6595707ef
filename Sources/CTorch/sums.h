// Sums over rows whose bits do not depend on the number of threads: rows are summed inside units, and the sums of units in order.
#pragma once
#include "numbers.h"
#include <algorithm>
#include <cstdint>

namespace loops {

/// Sums the rows of each unit in order: from [rows, width] to [units, width]. A unit is `unitRows` rows.
template <class T> struct RowSums {
    int64_t rows, unitRows, width;
    const T *from;
    float *to;

    int64_t units() const { return (rows + unitRows - 1) / unitRows; }

    INLINE void operator()(int64_t first, int64_t end) const {
        for (int64_t unit = first; unit < end; unit++) {
            float *__restrict out = to + unit * width;
            for (int64_t i = 0; i < width; i++) out[i] = 0;
            for (int64_t row = unit * unitRows; row < std::min(rows, (unit + 1) * unitRows); row++) {
                const T *__restrict in = from + row * width;
                for (int64_t i = 0; i < width; i++) out[i] += widen(in[i]);
            }
        }
    }
};

}  // namespace loops
