// Bfloat16 by the instructions of newer processors (AVX512-BF16): rounding takes one instruction instead of six, a third of the
// time of GELU. They flush numbers below 2^-126 to 0; otherwise the bits are those of `BFloat16`.
#pragma once
#include "ctorch.h"
#include "numbers.h"
#include <string_view>

namespace loops {

/// A `BFloat16` in loops that are compiled for these instructions only (parallel.h).
struct HardwareBFloat16 {
    BFloat16 bits;
};

INLINE float widen(HardwareBFloat16 x) { return widen(x.bits); }
template <> INLINE HardwareBFloat16 narrow<HardwareBFloat16>(float x) { return __builtin_bit_cast(HardwareBFloat16, (__bf16)x); }

/// Whether the processor has these instructions and libtorch's kernels use vectors of the same width.
inline bool hasHardwareBFloat16() {
    static const bool has =
        std::string_view(ct_cpu_capability()).starts_with("AVX512") && __builtin_cpu_supports("avx512bf16");
    return has;
}

}  // namespace loops
