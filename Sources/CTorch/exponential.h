// The power of two in GELU and softmax, in vector code; e^x is 2^(x log2 e).
#pragma once
#include "numbers.h"
#include <bit>
#include <cstdint>

namespace loops {

constexpr float log2OfE = 1.442695041f;

/// 2^x as 2^n 2^r with |r| <= 1/2 for x up to 126, and 2^-126 for x below -126. The relative error is 1.5e-7, or 8e-5, a fiftieth
/// of the rounding error, where the result becomes a 16-bit number T. The polynomials minimise it.
template <class T> INLINE float exponential2(float x) {
#pragma clang fp contract(fast)
    x = x < -126.f ? -126.f : x;
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits; with 127 they are the exponent's of 2^n.
    constexpr float bias = 12582912.f + 127.f;
    const float shifted = x + bias, r = x - (shifted - bias);
    float polynomial;
    if constexpr (sizeof(T) == 4)
        polynomial = 1.f + r * (0.693147f + r * (0.24022239f + r * (0.05550719f + r * (0.0096715856f + r * 0.0013264234f))));
    else
        polynomial = 0.99992806f + r * (0.69326097f + r * (0.24261113f + r * 0.055171669f));
    return polynomial * std::bit_cast<float>(std::bit_cast<uint32_t>(shifted) << 23);
}

}  // namespace loops
