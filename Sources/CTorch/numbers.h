// Float32 and bfloat16, for loops on both the CPU and CUDA: both compilers read the same lines, without any include.
#pragma once

#ifdef __CUDACC__
#define INLINE __device__ __forceinline__
#else
#define INLINE [[gnu::always_inline]] inline
#endif

namespace loops {

/// A bfloat16: the upper half of a float32.
using BFloat16 = unsigned short;

INLINE float widen(float x) { return x; }
INLINE float widen(BFloat16 x) { return __builtin_bit_cast(float, (unsigned)x << 16); }

/// Rounds to the nearest, ties to even; NaN stays NaN.
template <class T> INLINE T narrow(float x);
template <> INLINE float narrow<float>(float x) { return x; }
template <> INLINE BFloat16 narrow<BFloat16>(float x) {
#ifdef __CUDACC__
    BFloat16 rounded;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded) : "f"(x));
    return rounded;
#else
    unsigned bits = __builtin_bit_cast(unsigned, x);
    unsigned rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    return (BFloat16)((bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC0 : rounded);
#endif
}

}  // namespace loops
