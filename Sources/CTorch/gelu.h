// The loops of gelu.cpp, which explains why they are safe: plain numbers in, plain numbers out.
//
// Each is a structure of arrays and sizes whose operator() processes the units of work from `first` up to `end`.
#pragma once
#include "exponential.h"
#include "gelu-arguments.h"
#include <algorithm>
#include <cstdint>

namespace loops {

/// Elements of a unit: a multiple of every vector length, so that an element is always in the same lane.
constexpr int64_t unitElements = 4096;

/// e^-2u, u = geluSlope (x + geluCubic x^3); `square` is x^2.
template <class T> INLINE float geluExponential(float x, float square) {
#pragma clang fp contract(fast)
    constexpr float factor = -2 * log2OfE * geluSlope;
    const float power = x * (factor + factor * geluCubic * square);
    return exponential2<T>(power > 126.f ? 126.f : power);
}

/// y = x / 2 (1 + tanh u) = x / (1 + e^-2u).
template <class T> struct GeluForward {
    int64_t count;
    const T *x;
    T *y;

    INLINE void operator()(int64_t first, int64_t end) const {
        const T *__restrict in = x;
        T *__restrict out = y;
        const int64_t stop = std::min(count, end * unitElements);
        for (int64_t i = first * unitElements; i < stop; i++) {
            const float v = widen(in[i]);
            out[i] = narrow<T>(v / (1.f + geluExponential<T>(v, v * v)));
        }
    }
};

/// dy/dx = s + x 2 s (1 - s) du/dx with s = 1 / (1 + e), e = e^-2u; 1 - s is computed as e s, which does not cancel.
template <class T> struct GeluBackward {
    int64_t count;
    const T *x, *gradient;
    T *gradientX;  // may be `gradient`

    INLINE void operator()(int64_t first, int64_t end) const {
#pragma clang fp contract(fast)
        const T *__restrict in = x;
        const int64_t stop = std::min(count, end * unitElements);
#pragma clang loop vectorize(assume_safety)
        for (int64_t i = first * unitElements; i < stop; i++) {
            const float v = widen(in[i]), square = v * v, e = geluExponential<T>(v, square), s = 1.f / (1.f + e);
            const float slope = v * (2.f * geluSlope + 6.f * geluSlope * geluCubic * square);  // 2 x du/dx
            const float scaled = widen(gradient[i]) * s;
            gradientX[i] = narrow<T>(scaled + scaled * (slope * (e * s)));
        }
    }
};

}  // namespace loops
