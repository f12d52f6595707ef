// The CPU loops of residual.cpp, which explains why they are safe.
#pragma once
#include "residual-arguments.h"
#include <algorithm>
#include <cstdint>

namespace loops {

/// The number of rows of a unit.
constexpr int64_t unitRows = 64;

/// The forward pass; a unit is a row.
template <class T, bool hasBranch, bool hasNorm> struct ResidualForward {
    ResidualForwardArguments<T> a;

    INLINE void operator()(int64_t first, int64_t end) const {
        for (int64_t row = first; row < end; row++) {
            const float *stream = a.x + row * a.sizes.width;
            if constexpr (hasBranch) {
                add(row);
                stream = a.sum + row * a.sizes.width;
            }
            if constexpr (hasNorm) normalise(stream, row);
        }
    }

    INLINE void add(int64_t row) const {
        const int64_t width = a.sizes.width;
        const float *__restrict x = a.x + row * width;
        const T *__restrict branch = a.branch + row * width;
        const float *__restrict gate = a.gate[row / a.sizes.rows];
        float *__restrict sum = a.sum + row * width;
        for (int64_t i = 0; i < width; i++) sum[i] = x[i] + gate[i] * widen(branch[i]);
    }

    INLINE void normalise(const float *__restrict stream, int64_t row) const {
#pragma clang fp reassociate(on) contract(fast)
        const int64_t width = a.sizes.width;
        const float *__restrict scale = a.scale[row / a.sizes.rows];
        const float *__restrict shift = a.shift[row / a.sizes.rows];
        T *__restrict normed = a.normed + row * width;
        float mean = 0, square = 0;
        for (int64_t i = 0; i < width; i++) mean += stream[i];
        mean /= (float)width;
        for (int64_t i = 0; i < width; i++) square += (stream[i] - mean) * (stream[i] - mean);
        const float inverse = 1 / __builtin_sqrtf(square / (float)width + a.epsilon);
        for (int64_t i = 0; i < width; i++)
            normed[i] = narrow<T>((stream[i] - mean) * inverse * (1 + scale[i]) + shift[i]);
        if (a.statistics) {
            a.statistics[2 * row] = mean;
            a.statistics[2 * row + 1] = inverse;
        }
    }
};

/// The backward pass; a unit is at most `unitRows` rows of one sample.
template <class T, bool hasBranch, bool hasNorm> struct ResidualBackward {
    ResidualBackwardArguments<T> a;

    INLINE void operator()(int64_t first, int64_t end) const {
        const Sizes &sizes = a.sizes;
        for (int64_t unit = first; unit < end; unit++) {
            const int64_t sample = unit / sizes.unitsOfSample();
            const int64_t start = unit % sizes.unitsOfSample() * sizes.unitRows;
            const int64_t stop = std::min<int64_t>(sizes.rows, start + sizes.unitRows);
            for (int64_t i = unit * sizes.width; i < (unit + 1) * sizes.width; i++) {
                if constexpr (hasBranch) a.gateSums[i] = 0;
                if constexpr (hasNorm) a.scaleSums[i] = a.shiftSums[i] = 0;
            }
            for (int64_t row = start; row < stop; row++) oneRow(unit, sample, sample * sizes.rows + row);
        }
    }

    INLINE void oneRow(int64_t unit, int64_t sample, int64_t row) const {
#pragma clang fp reassociate(on) contract(fast)
        const int64_t width = a.sizes.width;
        const float *__restrict stream = hasNorm ? a.stream + row * width : nullptr;
        const T *incoming = hasNorm ? a.gradientNormed + row * width : nullptr;
        const float *__restrict scale = hasNorm ? a.scale[sample] : nullptr;
        float mean = 0, inverse = 0, meanV = 0, meanVN = 0;
        if constexpr (hasNorm) {
            float *__restrict scaleSum = a.scaleSums + unit * width;
            float *__restrict shiftSum = a.shiftSums + unit * width;
            mean = a.statistics[2 * row], inverse = a.statistics[2 * row + 1];
            for (int64_t i = 0; i < width; i++) {
                float n = (stream[i] - mean) * inverse, g = widen(incoming[i]), v = g * (1 + scale[i]);
                meanV += v;
                meanVN += v * n;
                scaleSum[i] += g * n;
                shiftSum[i] += g;
            }
            meanV /= (float)width;
            meanVN /= (float)width;
        }
        const T *__restrict branch = hasBranch ? a.branch + row * width : nullptr;
        const float *__restrict gate = hasBranch ? a.gate[sample] : nullptr;
        const float *above = hasBranch ? a.gradientSum + row * width : nullptr;
        float *__restrict gateSum = hasBranch ? a.gateSums + unit * width : nullptr;
        float *gradientX = hasNorm ? a.gradientX + row * width : nullptr;
        T *gradientBranch = hasBranch ? a.gradientBranch + row * width : nullptr;
        // Results may lie where incoming gradients do, number by number.
#pragma clang loop vectorize(assume_safety)
        for (int64_t i = 0; i < width; i++) {
            float h = 0;
            if constexpr (hasNorm)
                h = inverse * (widen(incoming[i]) * (1 + scale[i]) - meanV - (stream[i] - mean) * inverse * meanVN);
            if constexpr (hasBranch) {
                h += above[i];
                gateSum[i] += widen(branch[i]) * h;
                gradientBranch[i] = narrow<T>(gate[i] * h);
            }
            if constexpr (hasNorm) gradientX[i] = h;
        }
    }
};

}  // namespace loops
