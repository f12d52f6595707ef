// The CUDA kernels of gelu.cpp; compiled at run time (cuda.cpp). A thread handles eight columns of all rows of a unit, several
// rows at a time, so that enough loads are in flight and the sums over rows stay in registers.
#include "columns-cuda.h"
#include "gelu-arguments.h"

namespace loops {

constexpr int geluRows = 4;  // rows read together

#ifdef __CUDACC__
/// e^x to about 2 units in the last place, in few instructions.
__device__ inline float exponential(float x) { return __expf(x); }
__device__ inline float reciprocal(float x) { return __fdividef(1, x); }
#endif

/// e^-2u and 1 / (1 + e^-2u). Beyond 80 the sigmoid is 0, and the exponential must not become infinite.
__device__ inline void geluSigmoid(float x, float &e, float &s) {
    e = exponential(fminf(-2 * geluSlope * (x + geluCubic * x * x * x), 80));
    s = reciprocal(1 + e);
}

/// gelu(x), or the derivative (s + x 2 s (1 - s) du/dx) times a given gradient; 1 - s is computed as e s, which does not cancel.
template <bool isBackward> __device__ inline float gelu(float x, float gradient) {
    float e, s;
    geluSigmoid(x, e, s);
    if (!isBackward) return x * s;
    return gradient * (s + 2 * geluSlope * x * (1 + 3 * geluCubic * x * x) * (e * s) * s);
}

template <class T, bool isBackward> __device__ void geluUnit(const GeluArguments<T> &a) {
    const long long unit = blockIdx.x / a.blocksOfUnit(), start = unit * a.unitRows;
    const int block = (int)(blockIdx.x % a.blocksOfUnit()), column = geluColumns * (block * geluThreads + threadIdx.x);
    if (column >= a.width) return;
    const int rows = (int)(a.rows - start < a.unitRows ? a.rows - start : a.unitRows);
    float sums[geluColumns]{};
    for (int first = 0; first < rows; first += geluRows) {
        Columns<T, geluColumns> x[geluRows], gradient[geluRows];
#pragma unroll
        for (int r = 0; r < geluRows; r++) {
            const int row = first + r < rows ? first + r : rows - 1;
            x[r] = load<geluColumns>(a.x + (start + row) * a.width + column);
            if (isBackward) gradient[r] = load<geluColumns>(a.gradient + (start + row) * a.width + column);
        }
#pragma unroll
        for (int r = 0; r < geluRows; r++) {
            if (first + r >= rows) continue;
            Columns<float, geluColumns> result;
#pragma unroll
            for (int i = 0; i < geluColumns; i++) {
                result.at[i] = gelu<isBackward>(x[r][i], isBackward ? gradient[r][i] : 0);
                sums[i] += result.at[i];
            }
            store(a.result + (start + first + r) * a.width + column, result);
        }
    }
    if constexpr (isBackward)
        for (int i = 0; i < geluColumns; i++) a.sums[unit * a.width + column + i] = sums[i];
}

}  // namespace loops

#define KERNELS(name, T, isBackward)                                                                                      \
    extern "C" __global__ void __launch_bounds__(loops::geluThreads) name(loops::GeluArguments<T> a) {                      \
        loops::geluUnit<T, isBackward>(a);                                                                                 \
    }
KERNELS(gelu_forward, float, false)
KERNELS(gelu_backward, float, true)
KERNELS(gelu_forward_bf16, loops::BFloat16, false)
KERNELS(gelu_backward_bf16, loops::BFloat16, true)
#undef KERNELS
