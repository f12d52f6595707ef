// Bfloat16 by the instructions that newer processors have for it (AVX512-BF16): rounding is one of them instead of six, a third
// of the time of GELU. They take numbers below 2^-126 as 0; else the bits are those of `Half`.
#pragma once
#include "ctorch.h"
#include "numbers.h"
#include <string_view>

namespace loops {

/// A `Half` in loops that are compiled for these instructions alone (parallel.h).
struct HardwareHalf {
    Half bits;
};

INLINE float widen(HardwareHalf x) { return widen(x.bits); }
template <> INLINE HardwareHalf narrow<HardwareHalf>(float x) { return __builtin_bit_cast(HardwareHalf, (__bf16)x); }

/// Whether the processor has them and libtorch's kernels use as wide vectors.
inline bool hasHardwareHalf() {
    static const bool has =
        std::string_view(ct_cpu_capability()).starts_with("AVX512") && __builtin_cpu_supports("avx512bf16");
    return has;
}

}  // namespace loops
