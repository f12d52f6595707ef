// The exponential of GELU and softmax, in vector code.
#pragma once
#include "numbers.h"
#include <bit>
#include <cstdint>

namespace loops {

/// e^x as 2^n e^r with |r| <= ln(2) / 2, clamped to the range of normal numbers. The relative error is 1e-7, or 8e-5, a fiftieth
/// of the rounding error, where the result becomes a 16-bit number T.
template <class T> INLINE float exponential(float x) {
    x = x < -87.f ? -87.f : x > 87.f ? 87.f : x;
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits, where it only needs a shift.
    const float shifted = x * 1.44269504f + 12582912.f, n = shifted - 12582912.f;
    float polynomial;
    if constexpr (sizeof(T) == 4) {
        const float r = x - n * 0.693359375f - n * -2.12194440e-4f;  // ln(2) in two parts, the first exact in products with n
        const float tail = 4.1666467e-2f + r * (8.3334519e-3f + r * 1.3981999e-3f);
        polynomial = 1.f + r * (1.f + r * (0.5f + r * (1.6666667e-1f + r * tail)));
    } else {
        const float r = x - n * 0.693147182f;
        polynomial = 0.99992806f + r * (1.0001642f + r * (0.5049633f + r * 0.16566843f));  // minimises the relative error
    }
    return polynomial * std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + (127u << 23));
}

}  // namespace loops
