// The loops of panel-products.cpp, which explains how they are fast: large products in blocks that fit into the cache.
#pragma once
#include "block-product.h"
#include <algorithm>

namespace loops {

/// An operand B [k, n] in panels of 64 columns, the last of which may be narrower. Each is packed or, if `stride` is given, lies
/// unpacked in a dense [k, n].
template <class T> struct Panels {
    static constexpr int64_t panelWidth = 64;
    T *data;
    int64_t k, n, stride = 0;

    int64_t count() const { return (n + panelWidth - 1) / panelWidth; }
    int64_t width(int64_t panel) const { return std::min(panelWidth, n - panel * panelWidth); }
    int64_t strideOf(int64_t panel) const { return stride ? stride : width(panel); }
    T *rows(int64_t panel, int64_t row) const {
        return data + panel * panelWidth * (stride ? 1 : k) + row * strideOf(panel);
    }
};

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
            for (int64_t panel = 0; panel < to.count(); panel++)
                packRows(from + row * to.n + panel * to.panelWidth, to.n, pairing<T>, to.width(panel), to.rows(panel, row));
    }
};

/// Packs B from its columns. A unit is a panel of columns.
template <class T> struct PackColumns {
    const T *from;
    Panels<T> to;

    int64_t units() const { return to.count(); }

    INLINE void operator()(int64_t first, int64_t end) const {
        for (int64_t panel = first; panel < end; panel++)
            packColumns(from + panel * to.panelWidth * to.k, to.k, to.k, to.width(panel), to.rows(panel, 0));
    }
};

/// Adds a per-column bias to sums, or to nothing, and rounds; `to` may be the sums.
template <class T>
INLINE void storeRows(const float *sums, int64_t stride, int64_t rows, int64_t columns, const T *bias, T *to, int64_t toStride) {
    float added[Panels<T>::panelWidth] = {};
    for (int64_t j = 0; bias && j < columns; j++) added[j] = widen(bias[j]);
    auto oneRow = [&](int64_t i, int64_t count) __attribute__((always_inline)) {
#pragma clang loop vectorize(assume_safety)
        for (int64_t j = 0; j < count; j++) to[i * toStride + j] = narrow<T>(sums[i * stride + j] + added[j]);
    };
    for (int64_t i = 0; i < rows; i++)
        columns == Panels<T>::panelWidth ? oneRow(i, Panels<T>::panelWidth) : oneRow(i, columns);
}

/// A B + bias for A [rows, k]. A unit is a panel of columns of some rows; units of the same rows follow one another, while the
/// rows are in the cache.
template <class T> struct ProductOfRows {
    // As much of each operand as stays in the L2 cache.
    static constexpr int64_t mostRows = 256, chunk = 4096 / (int64_t)sizeof(T);
    BlockProduct<T> product;
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
        for (int64_t unit = first; unit < end; unit++) {
            const int64_t row = unit / b.count() * unitRows(), panel = unit % b.count(), column = panel * b.panelWidth;
            const int64_t m = std::min(unitRows(), rows - row), n = b.width(panel);
            T *out = to + row * b.n + column;
            float *sums = reinterpret_cast<float *>(space.own());
            int64_t stride = n;
            if constexpr (pairing<T> == 1) sums = out, stride = b.n;
            for (int64_t start = 0; start < b.k; start += chunk)
                product({m, n, std::min(chunk, b.k - start), b.k, b.strideOf(panel), stride}, start > 0, a + row * b.k + start,
                        b.rows(panel, start), sums);
            if (bias || pairing<T> > 1) storeRows(sums, stride, m, n, bias ? bias + column : nullptr, out, b.n);
        }
        product.release();
    }
};

/// A^T B in float32, a sum over the rows of A [k, m] and B [k, n], or its transpose [n, m]; and the column sums of A. A unit is
/// some columns of A and of B, summed over all rows.
template <class T> struct ProductOverRows {
    static constexpr int64_t unitWidth = 64, unitPanels = 6, mostRows = 512;
    // Rows a power of two apart would map to few cache sets.
    static constexpr int64_t blockStride = mostRows + 32;
    static constexpr int64_t sumsWidth = unitPanels * Panels<T>::panelWidth;
    BlockProduct<T> product;
    ThreadSpace space;
    const T *a;
    int64_t m;
    Panels<const T> b;
    bool isTransposed;
    float *to, *columnSums;  // null if not wanted

    int64_t groups() const { return (b.count() + unitPanels - 1) / unitPanels; }
    int64_t units() const { return (m + unitWidth - 1) / unitWidth * groups(); }

    struct Space {
        T *block;         // A^T of a chunk
        uint32_t *words;  // workspace for its transposition
        float *sums;      // [unitWidth, sumsWidth]

        int64_t layOut(char *begin) {
            Layout layout{begin};
            layout.take(block, unitWidth * blockStride), layout.take(words, unitWidth * blockStride);
            layout.take(sums, unitWidth * sumsWidth);
            return layout.bytes;
        }
    };

    INLINE void operator()(int64_t first, int64_t end) const {
        Space own;
        own.layOut(space.own());
        const int64_t chunkRows = equalParts(b.k, mostRows);
        for (int64_t unit = first; unit < end; unit++) {
            const int64_t column = unit / groups() * unitWidth, width = std::min(unitWidth, m - column);
            const int64_t firstPanel = unit % groups() * unitPanels, endPanel = std::min(firstPanel + unitPanels, b.count());
            for (int64_t row = 0; row < b.k; row += chunkRows) {
                const int64_t rows = std::min(chunkRows, b.k - row);
                transpose(a + row * m + column, m, rows, width, own.words, own.block, blockStride);
                if (columnSums && firstPanel == 0) addColumns(own.block, rows, width, row > 0, columnSums + column);
                for (int64_t panel = firstPanel; panel < endPanel; panel++)
                    product({width, b.width(panel), rows, blockStride, b.strideOf(panel), sumsWidth}, row > 0, own.block,
                            b.rows(panel, row), own.sums + (panel - firstPanel) * b.panelWidth);
            }
            const int64_t start = firstPanel * b.panelWidth, count = std::min(b.n, endPanel * b.panelWidth) - start;
            if (isTransposed)
                transposeWords(own.sums, 4 * sumsWidth, width, count, to + start * m + column, m);
            else
                for (int64_t i = 0; i < width; i++)
                    std::memcpy(to + (column + i) * b.n + start, own.sums + i * sumsWidth, (size_t)count * sizeof(float));
        }
        product.release();
    }

    /// The sums of A^T's rows, added to existing sums if `isSum`.
    INLINE static void addColumns(const T *block, int64_t rows, int64_t width, bool isSum, float *sums) {
        for (int64_t i = 0; i < width; i++) {
#pragma clang fp reassociate(on)
            float sum = 0;
            for (int64_t j = 0; j < rows; j++) sum += widen(block[i * blockStride + j]);
            sums[i] = isSum ? sums[i] + sum : sum;
        }
    }
};

}  // namespace loops
