// The loops of panel-products.cpp, which explains how they are fast: large products in blocks that fit into the cache.
#pragma once
#include "block-product.h"
#include <algorithm>

namespace loops {

/// An operand B [k, n] in panels of 48 columns, the last of which may be narrower. Each is packed or, if `stride` is given, lies
/// unpacked in a dense [k, n].
template <class T> struct Panels {
    static constexpr int64_t panelWidth = 48;
    T *data;
    int64_t k, n, stride = 0;

    int64_t count() const { return (n + panelWidth - 1) / panelWidth; }
    int64_t width(int64_t panel) const { return std::min(panelWidth, n - panel * panelWidth); }
    int64_t strideOf(int64_t panel) const { return stride ? stride : width(panel); }
    T *rows(int64_t panel, int64_t row) const {
        return data + panel * panelWidth * (stride ? 1 : k) + row * strideOf(panel);
    }

    /// Whether packing bypasses the caches: what they cannot hold is read faster from memory than from another core's cache.
    bool isStreamed(int64_t panel) const { return k * n * (int64_t)sizeof(T) >= 1 << 20 && width(panel) % 16 == 0; }

    /// Some rows of a panel, to be fetched ahead of their use.
    Ahead ahead(int64_t panel, int64_t row, int64_t count) const {
        constexpr int64_t word = 4;
        return {rows(panel, row), std::min(count, k - row) / pairing<T>, width(panel) * word, strideOf(panel) * word};
    }
};

/// Makes what a thread has streamed visible to others.
INLINE void finishStreams() { __builtin_ia32_sfence(); }

/// Whether rows of so many numbers can be multiplied as they lie: 16-bit numbers cannot, nor can rows that are whole pages apart,
/// which would map to few cache sets. Where copying is cheap, half pages are too far apart, too.
template <class T> INLINE bool canStay(int64_t rowLength, bool isCheapToCopy = false) {
    return pairing<T> == 1 && rowLength % (isCheapToCopy ? 512 : 1024) != 0;
}

/// The size of about equal parts of `count`, at most `most` each and multiples of 16 except for the last.
INLINE int64_t equalParts(int64_t count, int64_t most) {
    const int64_t parts = (count + most - 1) / most;
    return ((count + parts - 1) / parts + 15) / 16 * 16;
}

/// Packs B from its rows. A unit is `unitRows` of them.
template <class T> struct PackRows {
    static constexpr int64_t unitRows = 64;
    const T *from;
    Panels<T> to;

    int64_t units() const { return (to.k + unitRows - 1) / unitRows; }

    INLINE void operator()(int64_t first, int64_t end) const {
        for (int64_t row = first * unitRows; row < std::min(to.k, end * unitRows); row += pairing<T>)
            for (int64_t panel = 0; panel < to.count(); panel++) {
                const T *rows = from + row * to.n + panel * to.panelWidth;
                const int64_t n = to.width(panel);
                to.isStreamed(panel) ? packRows<true>(rows, to.n, pairing<T>, n, to.rows(panel, row))
                                     : packRows(rows, to.n, pairing<T>, n, to.rows(panel, row));
            }
        finishStreams();
    }
};

/// Packs B from its columns. A unit is a panel of columns.
template <class T> struct PackColumns {
    const T *from;
    Panels<T> to;

    int64_t units() const { return to.count(); }

    INLINE void operator()(int64_t first, int64_t end) const {
        for (int64_t panel = first; panel < end; panel++) {
            const T *columns = from + panel * to.panelWidth * to.k;
            const int64_t n = to.width(panel);
            to.isStreamed(panel) ? packColumns<true>(columns, to.k, to.k, n, to.rows(panel, 0))
                                 : packColumns(columns, to.k, to.k, n, to.rows(panel, 0));
        }
        finishStreams();
    }
};

/// A B + bias for A [rows, k]. A unit is a panel of columns of some rows; units of the same rows follow one another, while the
/// rows are in the cache.
template <class T> struct ProductOfRows {
    // As much of each operand as stays in the L2 cache.
    static constexpr int64_t mostRows = 128, chunk = 4096 / (int64_t)sizeof(T);
    ThreadSpace space;
    const T *a;
    int64_t rows;
    Panels<const T> b;
    const T *bias;  // null if there is none
    T *to;

    static constexpr int64_t spaceBytes = mostRows * Panels<T>::panelWidth * (int64_t)sizeof(float);
    int64_t unitRows() const { return equalParts(rows, mostRows); }
    int64_t units() const { return (rows + unitRows() - 1) / unitRows() * b.count(); }

    INLINE void operator()(int64_t first, int64_t end) const {
        for (int64_t unit = first; unit < end; unit++) oneUnit(unit / b.count() * unitRows(), unit % b.count());
    }

    INLINE void oneUnit(int64_t row, int64_t panel) const {
        const int64_t m = std::min(unitRows(), rows - row), n = b.width(panel), column = panel * b.panelWidth;
        const int64_t nextPanel = panel + 1 < b.count() ? panel + 1 : 0;
        float added[Panels<T>::panelWidth], *sums = reinterpret_cast<float *>(space.own());
        for (int64_t j = 0; bias && j < n; j++) added[j] = widen(bias[column + j]);
        for (int64_t from = 0; from < b.k; from += chunk) {
            const bool isFirst = from == 0, isLast = from + chunk >= b.k;
            auto product = [&]<class Out>(Out *c, int64_t strideC) {
                BlockProduct<T, Out>{.m = m, .n = n, .k = std::min(chunk, b.k - from),
                                     .a = LeftOperand<T>::ofRows(a + row * b.k + from, b.k),
                                     .b = b.rows(panel, from), .strideB = b.strideOf(panel), .c = c, .strideC = strideC,
                                     .addend = !isFirst ? sums : bias ? added : nullptr, .strideAddend = isFirst ? 0 : n,
                                     .ahead = {isLast ? b.ahead(nextPanel, 0, chunk) : b.ahead(panel, from + chunk, chunk)}}
                    .multiply();
            };
            isLast ? product(to + row * b.n + column, b.n) : product(sums, n);
        }
    }
};

/// x W^T + bias for few rows x [rows, k] and W [outputs, k]: W, read once as it lies, is the left operand. A unit is some outputs.
template <class T> struct ProductOfFewRows {
    static constexpr int64_t mostRows = 64, unitOutputs = 64;
    ThreadSpace space;
    const T *x, *weight, *bias;  // the bias is null if there is none
    int64_t rows, k, outputs;
    T *to;

    int64_t units() const { return (outputs + unitOutputs - 1) / unitOutputs; }

    struct Space {
        T *packed;    // x^T
        float *sums;  // [unitOutputs, rows]
    };

    int64_t layOut(Space &own, char *begin) const {
        Layout layout{begin};
        layout.take(own.packed, rows * k);
        layout.take(own.sums, rows * unitOutputs);
        return layout.bytes;
    }

    INLINE void operator()(int64_t first, int64_t end) const {
        Space own;
        layOut(own, space.own());
        packColumns(x, k, k, rows, own.packed);
        for (int64_t unit = first; unit < end; unit++) oneUnit(unit * unitOutputs, own);
    }

    INLINE void oneUnit(int64_t output, const Space &own) const {
        const int64_t m = std::min(unitOutputs, outputs - output), bytes = k * (int64_t)sizeof(T);
        const T *lines = weight + output * k;
        BlockProduct<T, float>{.m = m, .n = rows, .k = k, .a = LeftOperand<T>::ofRows(lines, k), .b = own.packed, .strideB = rows,
                               .c = own.sums, .strideC = rows,
                               .ahead = {{lines + m * k, std::min(unitOutputs, outputs - output - m), bytes, bytes}}}.multiply();
        for (int64_t row = 0; row < rows; row++)
            for (int64_t i = 0; i < m; i++) {
                const float sum = own.sums[i * rows + row];
                to[row * outputs + output + i] = narrow<T>(bias ? sum + widen(bias[output + i]) : sum);
            }
    }
};

/// A^T B in float32, a sum over the rows of A [k, m] and B [k, n]; and the column sums of A. A unit is some columns of A and of
/// B, summed over all rows.
template <class T> struct ProductOverRows {
    // As much of each operand as stays in the L2 cache along with the sums.
    static constexpr int64_t mostColumns = 64, mostPanels = 8, mostRows = 384 * pairing<T>;
    static constexpr int64_t sumsStride = mostPanels * Panels<T>::panelWidth;
    ThreadSpace space;
    const T *a;
    int64_t m;
    Panels<const T> b;
    float *to, *columnSums;

    int64_t unitColumns() const { return equalParts(m, mostColumns); }
    int64_t groups() const { return (b.count() + mostPanels - 1) / mostPanels; }
    int64_t units() const { return (m + unitColumns() - 1) / unitColumns() * groups(); }

    struct Space {
        float *sums;  // [mostColumns, sumsStride]
        T *packed;    // some columns and rows of A

        int64_t layOut(char *begin) {
            Layout layout{begin};
            layout.take(sums, mostColumns * sumsStride);
            layout.take(packed, mostColumns * mostRows);
            return layout.bytes;
        }
    };

    INLINE void operator()(int64_t first, int64_t end) const {
        Space own;
        own.layOut(space.own());
        const int64_t chunk = equalParts(b.k, mostRows);
        for (int64_t unit = first; unit < end; unit++)
            for (int64_t row = 0; row < b.k; row += chunk) someRows(unit, row, std::min(chunk, b.k - row), own);
    }

    /// Adds the products of some rows to a unit's sums, or, with the last rows, stores the sums.
    INLINE void someRows(int64_t unit, int64_t row, int64_t rows, const Space &own) const {
        const bool isFirst = row == 0, isLast = row + rows == b.k;
        const int64_t column = unit / groups() * unitColumns(), width = std::min(unitColumns(), m - column);
        const int64_t firstPanel = unit % groups() * mostPanels, endPanel = std::min(firstPanel + mostPanels, b.count());
        LeftOperand<T> columns = LeftOperand<T>::ofColumns(a + row * m + column, m);
        if (!canStay<T>(m)) {
            packRows(columns.data, m, rows, width, own.packed);
            columns = LeftOperand<T>::ofColumns(own.packed, width);
        }
        for (int64_t panel = firstPanel; panel < endPanel; panel++) {
            float *sums = own.sums + (panel - firstPanel) * b.panelWidth;
            BlockProduct<T, float> product{.m = width, .n = b.width(panel), .k = rows, .a = columns, .b = b.rows(panel, row),
                                           .strideB = b.strideOf(panel), .c = sums, .strideC = sumsStride,
                                           .addend = isFirst ? nullptr : sums, .strideAddend = sumsStride};
            if (isLast) product.c = to + column * b.n + panel * b.panelWidth, product.strideC = b.n;
            if (panel + 1 < endPanel) {
                product.ahead[0] = b.ahead(panel + 1, row, rows);
            } else {
                const int64_t next = isLast ? 0 : row + rows, nextRows = std::min(rows, b.k - next);
                const int64_t nextColumn = isLast ? std::min(m - 1, (unit + 1) / groups() * unitColumns()) : column;
                product.ahead[0] = b.ahead(firstPanel, next, nextRows);
                product.ahead[1] = {a + next * m + nextColumn, nextRows, width * (int64_t)sizeof(T), m * (int64_t)sizeof(T)};
            }
            product.multiply();
        }
        // A constant width lets the compiler keep the sums in registers.
        if (firstPanel == 0)
            width == mostColumns ? addRows(columns, rows, mostColumns, isFirst, columnSums + column)
                                 : addRows(columns, rows, width, isFirst, columnSums + column);
    }

    /// The sums of some columns over some rows, added to existing sums unless they are the first.
    INLINE static void addRows(const LeftOperand<T> &columns, int64_t rows, int64_t width, bool isFirst, float *sums) {
        float own[mostColumns] = {};
        for (int64_t step = 0; step < rows / pairing<T>; step++)
            for (int64_t j = 0; j < width; j++) own[j] += sumOfWord(columns.data + step * columns.step + j * pairing<T>);
        for (int64_t j = 0; j < width; j++) sums[j] = isFirst ? own[j] : sums[j] + own[j];
    }
};

}  // namespace loops
