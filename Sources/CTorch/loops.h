// The loops of gelu.cpp, which says why they are safe, and the exponential: plain numbers in, plain numbers out.
//
// Each is a structure of arrays and sizes whose operator() does the units of work from `first` up to `end`.
#pragma once
#include "gelu-arguments.h"
#include <algorithm>
#include <bit>
#include <cstdint>

namespace loops {

/// Elements of a unit: a multiple of every vector length, so that the same element is always in the same lane.
constexpr int64_t unitElements = 4096;

/// e^x as 2^n e^r with |r| <= ln(2) / 2, limited to the range of normal numbers; with a relative error of 1e-7, or of 8e-5, a
/// fiftieth of what rounding takes, where the result becomes a number T of 16 bits.
template <class T> INLINE float exponential(float x) {
    x = x < -87.f ? -87.f : x > 87.f ? 87.f : x;
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits, where it only has to be moved.
    const float shifted = x * 1.44269504f + 12582912.f, n = shifted - 12582912.f;
    float polynomial;
    if constexpr (sizeof(T) == 4) {
        const float r = x - n * 0.693359375f - n * -2.12194440e-4f;  // ln(2) in two parts, the first exact in products with n
        const float tail = 4.1666467e-2f + r * (8.3334519e-3f + r * 1.3981999e-3f);
        polynomial = 1.f + r * (1.f + r * (0.5f + r * (1.6666667e-1f + r * tail)));
    } else {
        const float r = x - n * 0.693147182f;
        polynomial = 0.99992806f + r * (1.0001642f + r * (0.5049633f + r * 0.16566843f));  // of least relative error
    }
    return polynomial * std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + (127u << 23));
}

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

/// dy/dx = s + x 2 s (1 - s) du/dx with s = 1 / (1 + e), e = e^-2u; 1 - s as e s, which does not cancel.
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
