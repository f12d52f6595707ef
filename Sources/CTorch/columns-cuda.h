// Adjacent columns of a row, which a CUDA thread reads and writes together.
#pragma once
#include "numbers.h"

namespace loops {

template <class T, int count> struct Columns;

template <int count> struct alignas(16) Columns<float, count> {
    float at[count];

    __device__ float operator[](int i) const { return at[i]; }
};

/// Bfloat16 columns, two in each register.
template <int count> struct alignas(2 * count) Columns<BFloat16, count> {
    unsigned pairs[count / 2];

    __device__ float operator[](int i) const {
        const unsigned pair = pairs[i / 2];
        return __builtin_bit_cast(float, i % 2 ? pair & 0xFFFF0000 : pair << 16);
    }
};

template <int count, class T> __device__ inline Columns<T, count> load(const T *from) {
    return *reinterpret_cast<const Columns<T, count> *>(from);
}

template <int count> __device__ inline void store(float *to, const Columns<float, count> &columns) {
    *reinterpret_cast<Columns<float, count> *>(to) = columns;
}

template <int count> __device__ inline void store(BFloat16 *to, const Columns<float, count> &columns) {
    Columns<BFloat16, count> rounded;
#pragma unroll
    for (int i = 0; i < count / 2; i++)
        rounded.pairs[i] = narrow<BFloat16>(columns[2 * i]) | (unsigned)narrow<BFloat16>(columns[2 * i + 1]) << 16;
    *reinterpret_cast<Columns<BFloat16, count> *>(to) = rounded;
}

}  // namespace loops
