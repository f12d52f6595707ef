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

/// y = x / 2 (1 + tanh u) = x / (1 + e^-2u).
template <class T> struct GeluForward {
    int64_t count;
    const T *x;
    T *y;

    INLINE void operator()(int64_t first, int64_t end) const {
#pragma clang fp contract(fast)
        const T *__restrict in = x;
        T *__restrict out = y;
        const int64_t stop = std::min(count, end * unitElements);
        for (int64_t i = first * unitElements; i < stop; i++) {
            float v = widen(in[i]), u = geluSlope * (v + geluCubic * v * v * v);
            out[i] = narrow<T>(v / (1.f + exponential<T>(-2.f * u)));
        }
    }
};

/// dy/dx = s + x 2 s (1 - s) du/dx with s = 1 / (1 + e), e = e^-2u; 1 - s is computed as e s, which does not cancel.
template <class T> struct GeluBackward {
    int64_t count;
    const T *x, *gradient;
    T *gradientX;

    INLINE void operator()(int64_t first, int64_t end) const {
#pragma clang fp contract(fast)
        const T *__restrict in = x;
        const T *__restrict g = gradient;
        T *__restrict out = gradientX;
        const int64_t stop = std::min(count, end * unitElements);
        for (int64_t i = first * unitElements; i < stop; i++) {
            float v = widen(in[i]), u = geluSlope * (v + geluCubic * v * v * v);
            float e = exponential<T>(-2.f * u), s = 1.f / (1.f + e);
            out[i] = narrow<T>(widen(g[i]) * (s + 2.f * geluSlope * v * (1.f + 3.f * geluCubic * v * v) * (e * s) * s));
        }
    }
};

}  // namespace loops
