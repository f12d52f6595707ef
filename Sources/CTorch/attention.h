// The loops of attention.cpp, which explains how they are fast: one unit is one head of one sample.
#pragma once
#include "block-product.h"
#include "exponential.h"

namespace loops {

/// Queries, keys, values or their gradients: [B, N, H, d] with strides for heads and tokens; d is dense.
template <class T> struct Heads {
    T *data;
    int64_t sample, token, head;

    INLINE T *operator()(int64_t unit, int64_t heads) const {
        return data + unit / heads * sample + unit % heads * head;
    }
};

/// The sizes of one attention; tokens and width are even.
struct AttentionSizes {
    int64_t samples, heads, tokens, width;
    float scale;  // scale of the scores

    int64_t units() const { return samples * heads; }
    int64_t elements() const { return samples * heads * tokens * width; }
    /// The number of queries processed together: their scores [tile, N] stay in the L2 cache, or are less than a full row where
    /// there are many tokens. Even.
    int64_t tile() const { return std::min({tokens, int64_t(128), std::max<int64_t>((32768 / tokens) & ~1, 16)}); }
};

/// The saved part of a query's softmax: its maximum score, and 1 over the sum of e^(scale (s - maximum)).
struct SoftmaxRow {
    float greatest, inverse;

    template <class T> INLINE float weight(float score, float scale) const {
        return exponential<T>((score - greatest) * scale) * inverse;
    }
};

/// The maximum of some numbers, in sixteen lanes. Compilers do not vectorise a plain loop, since it could meet NaN.
INLINE float greatestOf(const float *numbers, int64_t count) {
    constexpr int lanes = 16;
    float greatest[lanes];
    std::fill_n(greatest, lanes, numbers[0]);
    for (int64_t j = 0; j + lanes <= count; j += lanes)
        for (int i = 0; i < lanes; i++) greatest[i] = numbers[j + i] > greatest[i] ? numbers[j + i] : greatest[i];
    for (int64_t j = count / lanes * lanes; j < count; j++) greatest[0] = std::max(greatest[0], numbers[j]);
    for (int i = 1; i < lanes; i++) greatest[0] = std::max(greatest[0], greatest[i]);
    return greatest[0];
}

/// Turns the scores of one query into unnormalised weights, without the factor `inverse`; `weights` may be `scores`.
template <class T> INLINE SoftmaxRow softmax(const float *scores, int64_t count, float scale, T *weights) {
#pragma clang fp reassociate(on) contract(fast)
    const float greatest = greatestOf(scores, count);
    float sum = 0;
    for (int64_t j = 0; j < count; j++) {
        const float weight = exponential<T>((scores[j] - greatest) * scale);
        sum += weight;
        weights[j] = narrow<T>(weight);
    }
    return {greatest, 1 / sum};
}

/// A thread's workspace, for T of either size.
template <class T> struct AttentionSpace {
    T *keys, *values, *keyRows;  // packed: [d, N] twice, [N, d]
    float *scores, *pulls;       // [tile, N]
    T *weights, *slopes;         // [tile, N]: for float32 the scores and the slopes' rows, which need no packing
    T *slopeRows;                // [tile, N]
    T *queries, *gradients;      // [d, tile]
    float *sums;                 // [tile, d]
    float *keySums, *valueSums;  // [d, N]
    uint32_t *words;             // [N, d] for transpositions
    SoftmaxRow *rows;            // [tile]

    /// Lays out the arrays from `base` on; returns their total size in bytes.
    int64_t layOut(const AttentionSizes &s, bool isBackward, char *base) {
        const int64_t big = s.tokens * s.width, square = s.tile() * s.tokens, small = s.tile() * s.width;
        Layout layout{base};
        auto take = [&](auto *&array, int64_t count, bool isNeeded = true) {
            if (isNeeded) layout.take(array, count);
        };
        take(keys, big), take(values, big), take(scores, square), take(sums, small), take(rows, s.tile());
        take(keyRows, big, isBackward), take(slopeRows, square, isBackward), take(pulls, square, isBackward);
        take(queries, small, isBackward), take(gradients, small, isBackward);
        take(keySums, big, isBackward), take(valueSums, big, isBackward), take(words, big, isBackward);
        if constexpr (pairing<T> == 1) {
            weights = scores, slopes = slopeRows;
        } else {
            take(weights, square), take(slopes, square, isBackward);
        }
        return layout.bytes;
    }
};

/// y = softmax(scale q k^T) v.
template <class T> struct AttentionForward {
    AttentionSizes sizes;
    BlockProduct<T> product;
    Heads<const T> q, k, v;
    Heads<T> y;
    SoftmaxRow *statistics;  // [B, H, N]; null if there will be no backward pass
    ThreadSpace space;

    INLINE void operator()(int64_t first, int64_t end) const {
        AttentionSpace<T> own;
        own.layOut(sizes, false, space.own());
        for (int64_t unit = first; unit < end; unit++) oneHead(unit, own);
        product.release();
    }

    INLINE void oneHead(int64_t unit, const AttentionSpace<T> &own) const {
        const int64_t n = sizes.tokens, d = sizes.width, h = sizes.heads;
        packColumns(k(unit, h), k.token, d, n, own.keys);
        packRows(v(unit, h), v.token, n, d, own.values);
        for (int64_t start = 0; start < n; start += sizes.tile()) {
            const int64_t m = std::min(sizes.tile(), n - start);
            product({m, n, d, q.token, n, n}, false, q(unit, h) + start * q.token, own.keys, own.scores);
            for (int64_t i = 0; i < m; i++)
                own.rows[i] = softmax(own.scores + i * n, n, sizes.scale, own.weights + i * n);
            product({m, d, n, n, d, d}, false, own.weights, own.values, own.sums);
            T *__restrict rows = y(unit, h) + start * y.token;
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < d; j++)
                    rows[i * y.token + j] = narrow<T>(own.sums[i * d + j] * own.rows[i].inverse);
            if (statistics) std::memcpy(statistics + unit * n + start, own.rows, (size_t)m * sizeof(SoftmaxRow));
        }
    }
};

/// The gradients of q, k and v: with weights p and o = g v^T, the gradient of the scores is scale p (o - g y), since the sum of p
/// o over the keys is g y. The weights are recomputed, so that nothing of size N^2 is kept between the passes.
template <class T> struct AttentionBackward {
    AttentionSizes sizes;
    BlockProduct<T> product;
    Heads<const T> q, k, v, y, gradient;
    const SoftmaxRow *statistics;
    Heads<T> gradientQ, gradientK, gradientV;
    ThreadSpace space;

    INLINE void operator()(int64_t first, int64_t end) const {
        AttentionSpace<T> own;
        own.layOut(sizes, true, space.own());
        for (int64_t unit = first; unit < end; unit++) oneHead(unit, own);
        product.release();
    }

    INLINE void oneHead(int64_t unit, const AttentionSpace<T> &own) const {
        const int64_t n = sizes.tokens, d = sizes.width, h = sizes.heads;
        packColumns(k(unit, h), k.token, d, n, own.keys);
        packColumns(v(unit, h), v.token, d, n, own.values);
        packRows(k(unit, h), k.token, n, d, own.keyRows);
        for (int64_t start = 0; start < n; start += sizes.tile()) {
            const int64_t m = std::min(sizes.tile(), n - start);
            const T *queries = q(unit, h) + start * q.token, *g = gradient(unit, h) + start * gradient.token;
            product({m, n, d, q.token, n, n}, false, queries, own.keys, own.scores);
            product({m, n, d, gradient.token, n, n}, false, g, own.values, own.pulls);
            for (int64_t i = 0; i < m; i += pairing<T>) someRows(unit, start, i, own);
            product({m, d, n, n, d, d}, false, own.slopeRows, own.keyRows, own.sums);
            T *__restrict rows = gradientQ(unit, h) + start * gradientQ.token;
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < d; j++) rows[i * gradientQ.token + j] = narrow<T>(own.sums[i * d + j]);
            // Sums over queries as [d, N], so that the large operands need no transposition.
            transpose(queries, q.token, m, d, own.words, own.queries, m);
            transpose(g, gradient.token, m, d, own.words, own.gradients, m);
            product({d, n, m, m, n, n}, start > 0, own.queries, own.slopes, own.keySums);
            product({d, n, m, m, n, n}, start > 0, own.gradients, own.weights, own.valueSums);
        }
        storeTransposed(own.keySums, own, gradientK(unit, h), gradientK.token);
        storeTransposed(own.valueSums, own, gradientV(unit, h), gradientV.token);
    }

    /// A query of a tile and its incoming gradient.
    struct Query {
        SoftmaxRow softmax;
        float pull;  // g y
        const float *scores, *pulls;

        INLINE float weight(int64_t key, float scale) const { return softmax.template weight<T>(scores[key], scale); }
        INLINE float slope(int64_t key, float weight, float scale) const { return scale * weight * (pulls[key] - pull); }
    };

    INLINE Query query(int64_t unit, int64_t start, int64_t i, const AttentionSpace<T> &own) const {
#pragma clang fp reassociate(on) contract(fast)
        const T *g = gradient(unit, sizes.heads) + (start + i) * gradient.token;
        const T *result = y(unit, sizes.heads) + (start + i) * y.token;
        float pull = 0;
        for (int64_t j = 0; j < sizes.width; j++) pull += widen(g[j]) * widen(result[j]);
        return {statistics[unit * sizes.tokens + start + i], pull, own.scores + i * sizes.tokens, own.pulls + i * sizes.tokens};
    }

    /// Weights and slopes of as many queries as are packed together.
    INLINE void someRows(int64_t unit, int64_t start, int64_t i, const AttentionSpace<T> &own) const {
#pragma clang fp contract(fast)
        const int64_t n = sizes.tokens;
        const float scale = sizes.scale;
        const Query first = query(unit, start, i, own);
        T *__restrict firstSlopes = own.slopeRows + i * n;
        if constexpr (pairing<T> == 1) {
            T *weights = own.weights + i * n;
            for (int64_t j = 0; j < n; j++) {
                const float weight = first.weight(j, scale);
                firstSlopes[j] = first.slope(j, weight, scale);
                weights[j] = weight;
            }
        } else {
            const Query second = query(unit, start, i + 1, own);
            T *__restrict secondSlopes = firstSlopes + n;
            auto *__restrict weights = reinterpret_cast<uint32_t *>(own.weights + i * n);
            auto *__restrict slopes = reinterpret_cast<uint32_t *>(own.slopes + i * n);
            for (int64_t j = 0; j < n; j++) {
                const float one = first.weight(j, scale), other = second.weight(j, scale);
                firstSlopes[j] = narrow<T>(first.slope(j, one, scale));
                secondSlopes[j] = narrow<T>(second.slope(j, other, scale));
                weights[j] = paired(narrow<T>(one), narrow<T>(other));
                slopes[j] = paired(firstSlopes[j], secondSlopes[j]);
            }
        }
    }

    /// Stores sums [d, N] as rows of a result [N, d].
    INLINE void storeTransposed(const float *sums, const AttentionSpace<T> &own, T *to, int64_t stride) const {
        const int64_t n = sizes.tokens, d = sizes.width;
        transposeWords(sums, 4 * n, d, n, own.words, d);
        const float *rows = reinterpret_cast<const float *>(own.words);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < d; j++) to[i * stride + j] = narrow<T>(rows[i * d + j]);
    }
};

}  // namespace loops
