// The CUDA kernels of residual.cpp; compiled at run time (cuda.cpp), so that no CUDA compiler is needed to build.
//
// A block handles a unit of rows. Forward, each warp has a row of its own, all of it in registers, so that no warp waits for
// another and many rows are in flight at once. Backward, each thread has the same four columns of all rows, so that sums over
// rows stay in registers too; the next rows are loaded while the warps exchange their sums over columns. Every number is read
// once, in coalesced 16-byte pieces. All sums have a fixed order.
//
// PIECES is the width in pieces of 128 columns, rounded up: four columns for each lane of a warp, or for each thread of a block.
#include "columns-cuda.h"
#include "residual-arguments.h"

namespace loops {

/// The four columns of a thread.
template <class T> using Four = Columns<T, 4>;

__device__ inline float sumOverWarp(float x) {
    for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xFFFFFFFF, x, distance);
    return x;
}

/// The rows of a block: a unit of one sample.
struct Unit {
    long long sample, start;
    int rows;

    __device__ explicit Unit(const Sizes &sizes) : sample(blockIdx.x / sizes.unitsOfSample()) {
        const long long first = blockIdx.x % sizes.unitsOfSample() * sizes.unitRows;
        start = sample * sizes.rows + first;
        rows = (int)(sizes.rows - first < sizes.unitRows ? sizes.rows - first : sizes.unitRows);
    }
};

template <class T, bool hasBranch, bool hasNorm> __device__ void forwardUnit(const ResidualForwardArguments<T> &a) {
    const Unit unit(a.sizes);
    const long long width = a.sizes.width;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    const float *gates = hasBranch ? a.gate[unit.sample] : nullptr;
    const float *scales = hasNorm ? a.scale[unit.sample] : nullptr, *shifts = hasNorm ? a.shift[unit.sample] : nullptr;
    for (long long row = unit.start + warp; row < unit.start + unit.rows; row += warps) {
        Four<float> stream[PIECES]{};
        Four<T> branch[PIECES]{};
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            const int column = 128 * i + 4 * lane;
            if (column >= width) continue;
            stream[i] = load<4>(a.x + row * width + column);
            if (hasBranch) branch[i] = load<4>(a.branch + row * width + column);
        }
        float mean = 0, square = 0;
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            const int column = 128 * i + 4 * lane;
            if (column >= width) continue;
            if (hasBranch) {
                const Four<float> gate = load<4>(gates + column);
                for (int j = 0; j < 4; j++) stream[i].at[j] += gate.at[j] * branch[i][j];
                store(a.sum + row * width + column, stream[i]);
            }
            for (int j = 0; j < 4; j++) mean += stream[i].at[j];
        }
        if (!hasNorm) continue;
        mean = sumOverWarp(mean) / (float)width;
#pragma unroll
        for (int i = 0; i < PIECES; i++)
            for (int j = 0; j < 4 && 128 * i + 4 * lane < width; j++)
                square += (stream[i].at[j] - mean) * (stream[i].at[j] - mean);
        const float inverse = 1 / sqrtf(sumOverWarp(square) / (float)width + a.epsilon);
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            const int column = 128 * i + 4 * lane;
            if (column >= width) continue;
            const Four<float> scale = load<4>(scales + column), shift = load<4>(shifts + column);
            Four<float> normed;
            for (int j = 0; j < 4; j++)
                normed.at[j] = (stream[i].at[j] - mean) * inverse * (1 + scale.at[j]) + shift.at[j];
            store(a.normed + row * width + column, normed);
        }
        if (a.statistics && lane == 0) a.statistics[2 * row] = mean, a.statistics[2 * row + 1] = inverse;
    }
}

/// Rows processed together in the backward pass.
constexpr int backwardRows = 2;

/// The data that the backward pass reads for a thread's four columns of some rows; past the last row, that row is read again.
template <class T> struct BackwardRows {
    Four<float> above[backwardRows], stream[backwardRows];
    Four<T> branch[backwardRows], incoming[backwardRows];
    float mean[backwardRows], inverse[backwardRows];

    template <bool hasBranch, bool hasNorm>
    __device__ inline void read(const ResidualBackwardArguments<T> &a, const Unit &unit, int first, int column) {
#pragma unroll
        for (int r = 0; r < backwardRows; r++) {
            const long long row = unit.start + min(first + r, unit.rows - 1), at = row * a.sizes.width + column;
            if (hasBranch) above[r] = load<4>(a.gradientSum + at), branch[r] = load<4>(a.branch + at);
            if (!hasNorm) continue;
            stream[r] = load<4>(a.stream + at), incoming[r] = load<4>(a.gradientNormed + at);
            mean[r] = a.statistics[2 * row], inverse[r] = a.statistics[2 * row + 1];
        }
    }
};

/// Sums `count` numbers of each thread over the threads of a block; all threads get the sums. `turn` alternates between 0 and 1:
/// a thread writing for the next turn may overlap with one still reading this turn's sums.
template <int count> __device__ inline void sumOverBlock(float (&sums)[count], int turn) {
    __shared__ float parts[2][PIECES][count];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < count; i++) {
        sums[i] = sumOverWarp(sums[i]);
        if (lane == 0) parts[turn][warp][i] = sums[i];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < count; i++) {
        sums[i] = parts[turn][0][i];
        for (int other = 1; other < PIECES; other++) sums[i] += parts[turn][other][i];
    }
}

template <class T, bool hasBranch, bool hasNorm> __device__ void backwardUnit(const ResidualBackwardArguments<T> &a) {
    const Unit unit(a.sizes);
    const int width = (int)a.sizes.width;
    const bool isInside = 4 * threadIdx.x < width;
    const int column = isInside ? 4 * threadIdx.x : 0;
    const float share = 1 / (float)width;
    Four<float> gate{}, scale{}, gateSum{}, scaleSum{}, shiftSum{}, branchSum{};
    if (hasBranch) gate = load<4>(a.gate[unit.sample] + column);
    if (hasNorm) scale = load<4>(a.scale[unit.sample] + column);
    for (int i = 0; i < 4; i++) scale.at[i] += 1;
    BackwardRows<T> next;
    next.template read<hasBranch, hasNorm>(a, unit, 0, column);
    for (int first = 0; first < unit.rows; first += backwardRows) {
        const BackwardRows<T> now = next;
        next.template read<hasBranch, hasNorm>(a, unit, first + backwardRows, column);
        float means[2 * backwardRows]{};  // means of v and of v n
#pragma unroll
        for (int r = 0; r < backwardRows && hasNorm; r++) {
            if (!isInside || first + r >= unit.rows) continue;
            for (int i = 0; i < 4; i++) {
                const float n = (now.stream[r].at[i] - now.mean[r]) * now.inverse[r], g = now.incoming[r][i];
                const float v = g * scale.at[i];
                means[r] += v;
                means[backwardRows + r] += v * n;
                scaleSum.at[i] += g * n;
                shiftSum.at[i] += g;
            }
        }
        if (hasNorm) sumOverBlock(means, first / backwardRows % 2);
#pragma unroll
        for (int r = 0; r < backwardRows; r++) {
            if (!isInside || first + r >= unit.rows) continue;
            const long long at = (unit.start + first + r) * width + column;
            const float meanV = means[r] * share, meanVN = means[backwardRows + r] * share;
            Four<float> h{}, gradientBranch;
            for (int i = 0; i < 4; i++) {
                if (hasNorm) {
                    const float n = (now.stream[r].at[i] - now.mean[r]) * now.inverse[r];
                    h.at[i] = now.inverse[r] * (now.incoming[r][i] * scale.at[i] - meanV - n * meanVN);
                }
                if (!hasBranch) continue;
                h.at[i] += now.above[r].at[i];
                gateSum.at[i] += now.branch[r][i] * h.at[i];
                gradientBranch.at[i] = gate.at[i] * h.at[i];
                branchSum.at[i] += gradientBranch.at[i];
            }
            if (hasBranch) store(a.gradientBranch + at, gradientBranch);
            if (hasNorm) store(a.gradientX + at, h);
        }
    }
    if (!isInside) return;
    const long long sums = (long long)blockIdx.x * width + column;
    if (hasBranch) store(a.gateSums + sums, gateSum), store(a.branchSums + sums, branchSum);
    if (hasNorm) store(a.scaleSums + sums, scaleSum), store(a.shiftSums + sums, shiftSum);
}

}  // namespace loops

#define KERNELS(name, T, hasBranch, hasNorm)                                                                              \
    extern "C" __global__ void __launch_bounds__(256, 2) forward_##name(loops::ResidualForwardArguments<T> a) {           \
        loops::forwardUnit<T, hasBranch, hasNorm>(a);                                                                     \
    }                                                                                                                     \
    extern "C" __global__ void __launch_bounds__(32 * PIECES, 18 / PIECES)                                               \
        backward_##name(loops::ResidualBackwardArguments<T> a) {                                                          \
        loops::backwardUnit<T, hasBranch, hasNorm>(a);                                                                    \
    }
KERNELS(branch, float, true, false)
KERNELS(norm, float, false, true)
KERNELS(branch_norm, float, true, true)
KERNELS(branch_bf16, loops::BFloat16, true, false)
KERNELS(norm_bf16, loops::BFloat16, false, true)
KERNELS(branch_norm_bf16, loops::BFloat16, true, true)
#undef KERNELS
