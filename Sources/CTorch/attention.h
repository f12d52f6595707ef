// The loops of attention.cpp, which explains how they are fast: one unit is one head of one sample.
#pragma once
#include "block-product.h"
#include "exponential.h"

namespace loops {

/// The sizes of one attention; tokens and width are even.
struct AttentionSizes {
    int64_t samples, heads, tokens, width;
    float scale;  // scale of the scores

    /// The factor of scores in exponents of 2.
    float factor() const { return scale * log2OfE; }
    int64_t units() const { return samples * heads; }
    int64_t elements() const { return samples * heads * tokens * width; }
    /// The number of queries processed together: their scores [tile, N] stay in the L2 cache, or are less than a full row where
    /// there are many tokens. Even.
    int64_t tile() const { return std::min({tokens, int64_t(128), std::max<int64_t>((32768 / tokens) & ~1, 16)}); }
    /// Whether the backward pass finds the weights of the forward pass: they take no more memory than queries, keys, values and
    /// result. Else it computes them again.
    bool keepsWeights() const { return tokens <= 4 * width; }
};

/// Queries, keys, values or their gradients: [B, N, H, d] with strides for heads and tokens; d is dense.
template <class T> struct Heads {
    T *data;
    int64_t sample, token, head;

    INLINE T *operator()(int64_t unit, int64_t heads) const {
        return data + unit / heads * sample + unit % heads * head;
    }

    /// The rows of the head after `unit`, to be fetched ahead of their use.
    INLINE Ahead after(int64_t unit, const AttentionSizes &s) const {
        const int64_t next = std::min(unit + 1, s.units() - 1), bytes = sizeof(T);
        return {(*this)(next, s.heads), s.tokens, s.width * bytes, token * bytes};
    }
};

/// The saved part of a query's softmax: its greatest score times the factor, and 1 over the sum of the powers of 2.
struct SoftmaxRow {
    float greatest, inverse;

    /// The weight of a score, without the factor `inverse`.
    template <class T> INLINE float power(float score, float factor) const {
#pragma clang fp contract(fast)
        return exponential2<T>(score * factor - greatest);
    }
};

/// Keeps in each lane the greater number of it and of the lane `distance` away, then for half the distance, down to 1.
template <size_t distance, class Lanes, size_t... lane>
INLINE void spreadGreatest(Lanes &numbers, std::index_sequence<lane...> all) {
    const Lanes others = __builtin_shufflevector(numbers, numbers, (lane ^ distance)...);
    numbers = others > numbers ? others : numbers;
    if constexpr (distance > 1) spreadGreatest<distance / 2>(numbers, all);
}

/// The greatest of at least `lanes` numbers. Compilers do not vectorise a plain loop, since it could meet NaN.
template <int64_t lanes> INLINE float greatestInLanes(const float *numbers, int64_t count) {
    using Lanes __attribute__((vector_size(lanes * sizeof(float)))) = float;
    Lanes greatest, next;
    std::memcpy(&greatest, numbers, sizeof greatest);
    for (int64_t j = lanes; j < count; j += lanes) {
        std::memcpy(&next, numbers + std::min(j, count - lanes), sizeof next);  // the last ones may overlap
        greatest = next > greatest ? next : greatest;
    }
    spreadGreatest<lanes / 2>(greatest, std::make_index_sequence<lanes>());
    return greatest[0];
}

INLINE float greatestOf(const float *numbers, int64_t count) {
    if (count >= 64) return greatestInLanes<64>(numbers, count);  // four vectors, since each waits for itself
    return count >= 16 ? greatestInLanes<16>(numbers, count) : *std::max_element(numbers, numbers + count);
}

/// Turns the scores of one query into unnormalised weights, without the factor `inverse`; `weights` may be `scores`.
template <class T> INLINE SoftmaxRow softmax(const float *scores, int64_t count, float factor, T *weights) {
#pragma clang fp reassociate(on) contract(fast)
    SoftmaxRow row{greatestOf(scores, count) * factor, 0};
    float sum = 0;
#pragma clang loop vectorize(assume_safety)
    for (int64_t j = 0; j < count; j++) {
        const float power = row.power<T>(scores[j], factor);
        sum += power;
        weights[j] = narrow<T>(power);
    }
    row.inverse = 1 / sum;
    return row;
}

/// Rows of a matrix as the right operand of a product: float32 as they lie, bfloat16 packed into `memory`.
template <class T> struct RightOperand {
    const T *data;
    int64_t stride;

    INLINE RightOperand(const T *rows, int64_t stride, int64_t k, int64_t n, T *memory) : data(rows), stride(stride) {
        if constexpr (pairing<T> > 1) packRows(rows, stride, k, n, memory), data = memory, this->stride = n;
    }
};

/// A thread's workspace, for T of either size.
template <class T> struct AttentionSpace {
    T *keys, *values;            // packed: [d, N], in the forward pass values [N, d]
    T *keyRows;                  // packed: [N, d]
    float *scores, *pulls;       // [tile, N]
    T *weights, *slopes;         // [tile, N], packed; for float32 the scores and the slopes' rows, which need no packing
    T *slopeRows;                // [tile, N]
    T *queries, *gradients;      // packed: [tile, d]
    float *sums;                 // [tile, d]
    float *keySums, *valueSums;  // [N, d]
    SoftmaxRow *rows;            // [tile]

    /// Lays out the arrays from `base` on; returns their total size in bytes.
    int64_t layOut(const AttentionSizes &s, bool isBackward, char *base) {
        const int64_t big = s.tokens * s.width, square = s.tile() * s.tokens, small = s.tile() * s.width;
        Layout layout{base};
        auto take = [&](auto *&array, int64_t count, bool isNeeded = true) {
            if (isNeeded) layout.take(array, count);
        };
        constexpr bool isPacked = pairing<T> > 1;
        take(keys, big), take(values, big, isBackward || isPacked), take(scores, square);
        take(sums, small, !isBackward), take(rows, s.tile(), !isBackward);
        take(slopeRows, square, isBackward), take(pulls, square, isBackward);
        take(keySums, big, isBackward), take(valueSums, big, isBackward);
        if constexpr (isPacked) {
            take(weights, square), take(slopes, square, isBackward), take(keyRows, big, isBackward);
            take(queries, small, isBackward), take(gradients, small, isBackward);
        } else {
            weights = scores, slopes = slopeRows;
        }
        return layout.bytes;
    }
};

/// y = softmax(scale q k^T) v.
template <class T> struct AttentionForward {
    AttentionSizes sizes;
    Heads<const T> q, k, v;
    Heads<T> y;
    SoftmaxRow *statistics;  // [B, H, N]; null if there will be no backward pass
    T *kept;                 // unnormalised weights, [B, H, N, N]; null if none are kept
    ThreadSpace space;

    INLINE void operator()(int64_t first, int64_t end) const {
        AttentionSpace<T> own{};
        own.layOut(sizes, false, space.own());
        for (int64_t unit = first; unit < end; unit++) oneHead(unit, own);
    }

    INLINE void oneHead(int64_t unit, const AttentionSpace<T> &own) const {
        const int64_t n = sizes.tokens, d = sizes.width, h = sizes.heads;
        packColumns(k(unit, h), k.token, d, n, own.keys);
        const RightOperand<T> values(v(unit, h), v.token, n, d, own.values);
        for (int64_t start = 0; start < n; start += sizes.tile()) {
            const int64_t m = std::min(sizes.tile(), n - start);
            BlockProduct<T, float>{.m = m, .n = n, .k = d, .a = LeftOperand<T>::ofRows(q(unit, h) + start * q.token, q.token),
                                   .b = own.keys, .strideB = n, .c = own.scores, .strideC = n,
                                   .ahead = {q.after(unit, sizes)}}.multiply();
            T *weights = kept ? kept + (unit * n + start) * n : own.weights;
            for (int64_t i = 0; i < m; i++) own.rows[i] = softmax(own.scores + i * n, n, sizes.factor(), weights + i * n);
            BlockProduct<T, float>{.m = m, .n = d, .k = n, .a = LeftOperand<T>::ofRows(weights, n),
                                   .b = values.data, .strideB = values.stride, .c = own.sums, .strideC = d,
                                   .ahead = {k.after(unit, sizes), v.after(unit, sizes)}}.multiply();
            T *__restrict rows = y(unit, h) + start * y.token;
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < d; j++)
                    rows[i * y.token + j] = narrow<T>(own.sums[i * d + j] * own.rows[i].inverse);
            if (statistics) std::memcpy(statistics + unit * n + start, own.rows, (size_t)m * sizeof(SoftmaxRow));
        }
    }
};

/// The gradients of q, k and v: with weights p and o = g v^T, the gradient of the scores is scale p (o - g y), since the sum of p
/// o over the keys is g y.
template <class T> struct AttentionBackward {
    AttentionSizes sizes;
    Heads<const T> q, k, v, y, gradient;
    const SoftmaxRow *statistics;
    const T *kept;  // as in the forward pass
    Heads<T> gradientQ, gradientK, gradientV;
    ThreadSpace space;

    INLINE void operator()(int64_t first, int64_t end) const {
        AttentionSpace<T> own{};
        own.layOut(sizes, true, space.own());
        for (int64_t unit = first; unit < end; unit++) oneHead(unit, own);
    }

    INLINE void oneHead(int64_t unit, const AttentionSpace<T> &own) const {
        const int64_t n = sizes.tokens, d = sizes.width, h = sizes.heads;
        if (!kept) packColumns(k(unit, h), k.token, d, n, own.keys);
        packColumns(v(unit, h), v.token, d, n, own.values);
        const RightOperand<T> keyRows(k(unit, h), k.token, n, d, own.keyRows);
        for (int64_t start = 0; start < n; start += sizes.tile()) {
            const int64_t m = std::min(sizes.tile(), n - start);
            const T *queries = q(unit, h) + start * q.token, *g = gradient(unit, h) + start * gradient.token;
            if (!kept) scoresOf(m, queries, q.token, own.keys, own.scores, {{}, {}});
            scoresOf(m, g, gradient.token, own.values, own.pulls, {gradient.after(unit, sizes), keptRows(unit, start, m)});
            for (int64_t i = 0; i < m; i += pairing<T>)
                kept ? someRows<KeptPowers>(unit, start, i, own) : someRows<ComputedPowers>(unit, start, i, own);
            BlockProduct<T, T>{.m = m, .n = d, .k = n, .a = LeftOperand<T>::ofRows(own.slopeRows, n),
                               .b = keyRows.data, .strideB = keyRows.stride,
                               .c = gradientQ(unit, h) + start * gradientQ.token, .strideC = gradientQ.token,
                               .ahead = {k.after(unit, sizes), v.after(unit, sizes)}}.multiply();
            addQueries(unit, start, {queries, q.token, m, d, own.queries}, own.slopes, own.keySums, gradientK, y.after(unit, sizes));
            addQueries(unit, start, {g, gradient.token, m, d, own.gradients}, own.weights, own.valueSums, gradientV,
                       q.after(unit, sizes));
        }
    }

    /// The kept weights of some queries, to be fetched ahead of their use.
    INLINE Ahead keptRows(int64_t unit, int64_t start, int64_t m) const {
        const int64_t bytes = sizes.tokens * (int64_t)sizeof(T);
        return kept ? Ahead{kept + (unit * sizes.tokens + start) * sizes.tokens, m, bytes, bytes} : Ahead{};
    }

    /// Products of some rows with all keys or values.
    INLINE void scoresOf(int64_t m, const T *rows, int64_t stride, const T *columns, float *scores, const Ahead (&next)[2]) const {
        const int64_t n = sizes.tokens;
        BlockProduct<T, float>{.m = m, .n = n, .k = sizes.width, .a = LeftOperand<T>::ofRows(rows, stride), .b = columns,
                               .strideB = n, .c = scores, .strideC = n, .ahead = {next[0], next[1]}}.multiply();
    }

    /// Adds a tile's part of a sum over all queries to `sums`, or, with the last tile, stores the sum in a result.
    INLINE void addQueries(int64_t unit, int64_t start, const RightOperand<T> &rows, const T *factors, float *sums,
                           const Heads<T> &to, const Ahead &next) const {
        const int64_t n = sizes.tokens, d = sizes.width, m = std::min(sizes.tile(), n - start);
        auto product = [&]<class Out>(Out *c, int64_t strideC) {
            BlockProduct<T, Out>{.m = n, .n = d, .k = m, .a = LeftOperand<T>::ofColumns(factors, n), .b = rows.data,
                                 .strideB = rows.stride, .c = c, .strideC = strideC, .addend = start > 0 ? sums : nullptr,
                                 .strideAddend = d, .ahead = {next}}.multiply();
        };
        start + m == n ? product(to(unit, sizes.heads), to.token) : product(sums, d);
    }

    /// The unnormalised weights of a query, powers of 2, as the forward pass kept them.
    struct KeptPowers {
        const T *powers;

        INLINE KeptPowers(const AttentionBackward &pass, int64_t query, const float *, const SoftmaxRow &)
            : powers(pass.kept + query * pass.sizes.tokens) {}
        INLINE float operator()(int64_t key) const { return widen(powers[key]); }
    };

    /// The same from the scores, rounded as in the forward pass.
    struct ComputedPowers {
        const float *scores, factor;
        SoftmaxRow row;

        INLINE ComputedPowers(const AttentionBackward &pass, int64_t, const float *scores, const SoftmaxRow &row)
            : scores(scores), factor(pass.sizes.factor()), row(row) {}
        INLINE float operator()(int64_t key) const { return widen(narrow<T>(row.power<T>(scores[key], factor))); }
    };

    /// A query of a tile: a weight is a power of 2 times `inverse`, and its slope the power times the difference of its key's
    /// pull and the query's, g y, times `slopeFactor`.
    template <class Powers> struct Query {
        Powers powers;
        float inverse, slopeFactor, pull;  // the pull times the factor
        const float *pulls;

        INLINE float weight(float power) const { return inverse * power; }
        INLINE float slope(int64_t key, float power) const {
#pragma clang fp contract(fast)
            return power * (slopeFactor * pulls[key] - pull);
        }
    };

    template <class Powers> INLINE Query<Powers> query(int64_t unit, int64_t start, int64_t i, const AttentionSpace<T> &own) const {
#pragma clang fp reassociate(on) contract(fast)
        const int64_t n = sizes.tokens, index = unit * n + start + i;
        const T *g = gradient(unit, sizes.heads) + (start + i) * gradient.token;
        const T *result = y(unit, sizes.heads) + (start + i) * y.token;
        float pull = 0;
        for (int64_t j = 0; j < sizes.width; j++) pull += widen(g[j]) * widen(result[j]);
        const SoftmaxRow row = statistics[index];
        const float slopeFactor = sizes.scale * row.inverse;
        return {Powers(*this, index, own.scores + i * n, row), row.inverse, slopeFactor, slopeFactor * pull, own.pulls + i * n};
    }

    /// Weights and slopes of as many queries as are packed together.
    template <class Powers> INLINE void someRows(int64_t unit, int64_t start, int64_t i, const AttentionSpace<T> &own) const {
        const int64_t n = sizes.tokens;
        const auto first = query<Powers>(unit, start, i, own);
        T *__restrict firstSlopes = own.slopeRows + i * n;
        if constexpr (pairing<T> == 1) {
            T *weights = own.weights + i * n;
#pragma clang loop vectorize(assume_safety)
            for (int64_t j = 0; j < n; j++) {
                const float power = first.powers(j);
                firstSlopes[j] = first.slope(j, power);
                weights[j] = first.weight(power);
            }
        } else {
            const auto second = query<Powers>(unit, start, i + 1, own);
            T *__restrict secondSlopes = firstSlopes + n;
            auto *__restrict weights = reinterpret_cast<uint32_t *>(own.weights + i * n);
            auto *__restrict slopes = reinterpret_cast<uint32_t *>(own.slopes + i * n);
#pragma clang loop vectorize_width(16)
            for (int64_t j = 0; j < n; j++) {
                const float one = first.powers(j), other = second.powers(j);
                firstSlopes[j] = narrow<T>(first.slope(j, one));
                secondSlopes[j] = narrow<T>(second.slope(j, other));
                weights[j] = paired(narrow<T>(first.weight(one)), narrow<T>(second.weight(other)));
                slopes[j] = paired(firstSlopes[j], secondSlopes[j]);
            }
        }
    }
};

}  // namespace loops
