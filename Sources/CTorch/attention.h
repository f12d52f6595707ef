// The loops of attention.cpp, which says what is clever about them: one unit is one head of one sample.
#pragma once
#include "loops.h"
#include <cstring>

namespace loops {

/// A product C = A B, or C += A B, with float32 sums: A [m, k] has rows `lda` apart, C [m, n] is dense, B is packed.
template <class T> struct Product {
    void (*function)(void *failure, int64_t m, int64_t n, int64_t k, int64_t lda, bool isSum, const T *a, const T *b,
                     float *c);
    void *failure;

    INLINE void operator()(int64_t m, int64_t n, int64_t k, int64_t lda, bool isSum, const T *a, const T *b,
                           float *c) const {
        function(failure, m, n, k, lda, isSum, a, b, c);
    }
};

/// Two numbers of 16 bits lie together in a packed operand, since processors multiply them in pairs.
template <class T> constexpr int64_t pairing = 4 / sizeof(T);

/// Packs B [k, n] from its rows, `stride` apart: [k / pairing, n, pairing].
template <class T> INLINE void packRows(const T *rows, int64_t stride, int64_t k, int64_t n, T *__restrict packed) {
    constexpr int64_t pair = pairing<T>;
    for (int64_t i = 0; i < k; i += pair)
        for (int64_t part = 0; part < pair; part++)
            for (int64_t j = 0; j < n; j++) packed[i * n + j * pair + part] = rows[(i + part) * stride + j];
}

/// Packs B [k, n] from its columns, `stride` apart: a transposition of 32-bit words.
template <class T> INLINE void packColumns(const T *columns, int64_t stride, int64_t k, int64_t n, T *__restrict packed) {
    constexpr int64_t pair = pairing<T>;
    for (int64_t i = 0; i < k; i += pair)
        for (int64_t j = 0; j < n; j++) std::memcpy(packed + i * n + j * pair, columns + j * stride + i, 4);
}

/// Transposes [rows, columns] with rows `stride` apart.
template <class T>
INLINE void transpose(const T *from, int64_t stride, int64_t rows, int64_t columns, T *__restrict to) {
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = 0; i < rows; i++) to[j * rows + i] = from[i * stride + j];
}

/// Queries, keys, values or their gradients: [B, N, H, d], heads and tokens at their strides, d dense.
template <class T> struct Heads {
    T *data;
    int64_t sample, token, head;

    INLINE T *operator()(int64_t unit, int64_t heads) const {
        return data + unit / heads * sample + unit % heads * head;
    }
};

/// Of one attention: tokens and width are even.
struct AttentionSizes {
    int64_t samples, heads, tokens, width;
    float scale;  // of the scores

    int64_t units() const { return samples * heads; }
    int64_t elements() const { return samples * heads * tokens * width; }
    /// Queries that are done together: their scores [tile, N] stay in the second cache, or in less than a row of all
    /// scores where there are many tokens. Even.
    int64_t tile() const { return std::clamp<int64_t>((32768 / tokens) & ~1, 16, tokens < 128 ? tokens : 128); }
};

/// Turns the scores of one query into weights: e^(scale s - greatest) over their sum.
INLINE void softmax(float *__restrict row, int64_t count, float scale) {
#pragma clang fp reassociate(on) contract(fast)
    float greatest = row[0], sum = 0;
    for (int64_t j = 0; j < count; j++) greatest = row[j] > greatest ? row[j] : greatest;
    for (int64_t j = 0; j < count; j++) {
        row[j] = exponential((row[j] - greatest) * scale);
        sum += row[j];
    }
    const float inverse = 1 / sum;
    for (int64_t j = 0; j < count; j++) row[j] *= inverse;
}

/// What a thread works in, for T of either size.
template <class T> struct AttentionSpace {
    T *keys, *values, *keyRows;      // packed: [d, N] twice, [N, d]
    T *weights, *slopes, *slopeRows;  // [tile, N]: packed, packed, and in rows
    T *queries, *gradients;           // [d, tile]
    float *scores, *pulls;            // [tile, N]
    float *sums;                      // [tile, d]
    float *keySums, *valueSums;       // [d, N]

    /// Lays the arrays out from `base` on; returns how many bytes they take.
    int64_t layOut(const AttentionSizes &s, bool isBackward, char *base) {
        int64_t end = 0, big = s.tokens * s.width, square = s.tile() * s.tokens, small = s.tile() * s.width;
        auto take = [&](auto *&array, int64_t count, bool isNeeded = true) {
            array = reinterpret_cast<std::remove_reference_t<decltype(array)>>(base + end);
            if (isNeeded) end += (count * (int64_t)sizeof(*array) + 63) / 64 * 64;
        };
        take(keys, big), take(values, big), take(weights, square), take(scores, square), take(sums, small);
        take(keyRows, big, isBackward), take(slopes, square, isBackward), take(slopeRows, square, isBackward);
        take(queries, small, isBackward), take(gradients, small, isBackward), take(pulls, square, isBackward);
        take(keySums, big, isBackward), take(valueSums, big, isBackward);
        return end;
    }
};

/// y = softmax(scale q k^T) v.
template <class T> struct AttentionForward {
    AttentionSizes sizes;
    Product<T> product;
    Heads<const T> q, k, v;
    Heads<T> y;
    char *space;
    int64_t spaceBytes;
    int (*thread)();

    INLINE void operator()(int64_t first, int64_t end) const {
        AttentionSpace<T> own;
        own.layOut(sizes, false, space + thread() * spaceBytes);
        for (int64_t unit = first; unit < end; unit++) oneHead(unit, own);
    }

    INLINE void oneHead(int64_t unit, const AttentionSpace<T> &own) const {
        const int64_t n = sizes.tokens, d = sizes.width, h = sizes.heads;
        packColumns(k(unit, h), k.token, d, n, own.keys);
        packRows(v(unit, h), v.token, n, d, own.values);
        for (int64_t start = 0; start < n; start += sizes.tile()) {
            const int64_t m = std::min(sizes.tile(), n - start);
            product(m, n, d, q.token, false, q(unit, h) + start * q.token, own.keys, own.scores);
            for (int64_t i = 0; i < m; i++) {
                float *__restrict row = own.scores + i * n;
                softmax(row, n, sizes.scale);
                T *__restrict rounded = own.weights + i * n;
                for (int64_t j = 0; j < n; j++) rounded[j] = narrow<T>(row[j]);
            }
            product(m, d, n, n, false, own.weights, own.values, own.sums);
            store(own.sums, m, d, y(unit, h) + start * y.token, y.token);
        }
    }

    /// Rows of sums as rows of a result.
    INLINE static void store(const float *from, int64_t rows, int64_t width, T *to, int64_t stride) {
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < width; j++) to[i * stride + j] = narrow<T>(from[i * width + j]);
    }
};

/// The gradients of q, k and v: with weights p and o = g v^T, the scores' gradient is scale p (o - sum of p o). The
/// weights are computed anew, so that nothing of the size N^2 is kept between the passes.
template <class T> struct AttentionBackward {
    AttentionSizes sizes;
    Product<T> product;
    Heads<const T> q, k, v, gradient;
    Heads<T> gradientQ, gradientK, gradientV;
    char *space;
    int64_t spaceBytes;
    int (*thread)();

    INLINE void operator()(int64_t first, int64_t end) const {
        AttentionSpace<T> own;
        own.layOut(sizes, true, space + thread() * spaceBytes);
        for (int64_t unit = first; unit < end; unit++) oneHead(unit, own);
    }

    INLINE void oneHead(int64_t unit, const AttentionSpace<T> &own) const {
        const int64_t n = sizes.tokens, d = sizes.width, h = sizes.heads;
        packColumns(k(unit, h), k.token, d, n, own.keys);
        packColumns(v(unit, h), v.token, d, n, own.values);
        packRows(k(unit, h), k.token, n, d, own.keyRows);
        for (int64_t start = 0; start < n; start += sizes.tile()) {
            const int64_t m = std::min(sizes.tile(), n - start);
            const T *queries = q(unit, h) + start * q.token, *g = gradient(unit, h) + start * gradient.token;
            product(m, n, d, q.token, false, queries, own.keys, own.scores);
            product(m, n, d, gradient.token, false, g, own.values, own.pulls);
            for (int64_t i = 0; i < m; i++) oneRow(i, own);
            product(m, d, n, n, false, own.slopeRows, own.keyRows, own.sums);
            AttentionForward<T>::store(own.sums, m, d, gradientQ(unit, h) + start * gradientQ.token, gradientQ.token);
            // Sums over queries as [d, N], so that the large operands need no transposition.
            transpose(queries, q.token, m, d, own.queries);
            transpose(g, gradient.token, m, d, own.gradients);
            product(d, n, m, m, start > 0, own.queries, own.slopes, own.keySums);
            product(d, n, m, m, start > 0, own.gradients, own.weights, own.valueSums);
        }
        storeTransposed(own.keySums, gradientK(unit, h), gradientK.token);
        storeTransposed(own.valueSums, gradientV(unit, h), gradientV.token);
    }

    INLINE void oneRow(int64_t i, const AttentionSpace<T> &own) const {
#pragma clang fp reassociate(on) contract(fast)
        constexpr int64_t pair = pairing<T>;
        const int64_t n = sizes.tokens;
        float *__restrict p = own.scores + i * n;
        const float *__restrict o = own.pulls + i * n;
        softmax(p, n, sizes.scale);
        float sum = 0;
        for (int64_t j = 0; j < n; j++) sum += p[j] * o[j];
        T *__restrict weights = own.weights + i / pair * pair * n + i % pair;
        T *__restrict slopes = own.slopes + i / pair * pair * n + i % pair;
        T *__restrict rows = own.slopeRows + i * n;
        for (int64_t j = 0; j < n; j++) rows[j] = narrow<T>(sizes.scale * p[j] * (o[j] - sum));
        for (int64_t j = 0; j < n; j++) {
            weights[j * pair] = narrow<T>(p[j]);
            slopes[j * pair] = rows[j];
        }
    }

    INLINE void storeTransposed(const float *from, T *to, int64_t stride) const {
        for (int64_t i = 0; i < sizes.tokens; i++)
            for (int64_t j = 0; j < sizes.width; j++) to[i * stride + j] = narrow<T>(from[j * sizes.tokens + i]);
    }
};

}  // namespace loops
