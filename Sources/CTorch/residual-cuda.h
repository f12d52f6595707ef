// The kernels of residual.cpp on CUDA; compiled at run time (cuda.cpp), so that no compiler of CUDA is needed to build.
//
// A block does a unit, some rows at a time, and each of its threads the same four columns of them: what a thread reads and
// writes of a row is 16 bytes that lie beside those of its neighbours, and sums over rows stay in its registers. Every number
// is read once. Sums over a row go through the warps by exchange and through shared memory between them, in a fixed order.
#include "residual-arguments.h"

namespace loops {

/// Rows that are done together, so that there is enough to load while sums are exchanged; more of them would take the registers
/// of a second block.
constexpr int forwardRows = 4, backwardRows = 2;

/// Four columns of a thread.
template <class T> struct alignas(4 * sizeof(T)) Four {
    T at[4];
};

template <class T> __device__ inline Four<T> load(const T *from) { return *reinterpret_cast<const Four<T> *>(from); }
template <class T> __device__ inline void store(T *to, const Four<T> &four) { *reinterpret_cast<Four<T> *>(to) = four; }

/// Adds up `count` numbers of each thread over the threads of a block, which all get the sums.
template <int count> __device__ inline void sumOverBlock(float (&sums)[count]) {
    __shared__ float parts[32][count];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    for (int i = 0; i < count; i++)
        for (int distance = 16; distance > 0; distance /= 2)
            sums[i] += __shfl_xor_sync(0xFFFFFFFF, sums[i], distance);
    __syncthreads();  // until everybody has read what was here before
    if (lane == 0)
        for (int i = 0; i < count; i++) parts[warp][i] = sums[i];
    __syncthreads();
    for (int i = 0; i < count; i++) {
        sums[i] = parts[0][i];
        for (int other = 1; other < warps; other++) sums[i] += parts[other][i];
    }
}

/// Where a thread works: its columns, and the rows of its block's unit.
struct Place {
    long long sample, start, stop;
    int column;
    bool isInside;

    __device__ explicit Place(const Sizes &sizes)
        : sample(blockIdx.x / sizes.unitsOfSample()), column(4 * threadIdx.x), isInside(column < sizes.width) {
        const long long first = blockIdx.x % sizes.unitsOfSample() * sizes.unitRows;
        start = sample * sizes.rows + first;
        stop = start + (sizes.rows - first < sizes.unitRows ? sizes.rows - first : sizes.unitRows);
    }
};

template <class T, bool hasBranch, bool hasNorm> __device__ void forwardUnit(const ResidualForwardArguments<T> &a) {
    const Place place(a.sizes);
    const long long width = a.sizes.width;
    Four<float> gate{}, scale{}, shift{};
    if (place.isInside) {
        if (hasBranch) gate = load(a.gate[place.sample] + place.column);
        if (hasNorm) scale = load(a.scale[place.sample] + place.column), shift = load(a.shift[place.sample] + place.column);
    }
    for (long long row = place.start; row < place.stop; row += forwardRows) {
        Four<float> stream[forwardRows]{};
        float mean[forwardRows]{}, square[forwardRows]{};
        for (int r = 0; r < forwardRows; r++) {
            if (!place.isInside || row + r >= place.stop) continue;
            const long long at = (row + r) * width + place.column;
            stream[r] = load(a.x + at);
            if (hasBranch) {
                const Four<T> branch = load(a.branch + at);
                for (int i = 0; i < 4; i++) stream[r].at[i] += gate.at[i] * widen(branch.at[i]);
                store(a.sum + at, stream[r]);
            }
            for (int i = 0; i < 4; i++) mean[r] += stream[r].at[i];
        }
        if (!hasNorm) continue;
        sumOverBlock(mean);
        for (int r = 0; r < forwardRows; r++) {
            mean[r] /= (float)width;
            for (int i = 0; i < 4 && place.isInside; i++)
                square[r] += (stream[r].at[i] - mean[r]) * (stream[r].at[i] - mean[r]);
        }
        sumOverBlock(square);
        for (int r = 0; r < forwardRows; r++) {
            if (!place.isInside || row + r >= place.stop) continue;
            const float inverse = 1 / sqrtf(square[r] / (float)width + a.epsilon);
            Four<T> normed;
            for (int i = 0; i < 4; i++)
                normed.at[i] = narrow<T>((stream[r].at[i] - mean[r]) * inverse * (1 + scale.at[i]) + shift.at[i]);
            store(a.normed + (row + r) * width + place.column, normed);
            if (a.statistics && threadIdx.x == 0) {
                a.statistics[2 * (row + r)] = mean[r];
                a.statistics[2 * (row + r) + 1] = inverse;
            }
        }
    }
}

template <class T, bool hasBranch, bool hasNorm> __device__ void backwardUnit(const ResidualBackwardArguments<T> &a) {
    const Place place(a.sizes);
    const long long width = a.sizes.width;
    Four<float> gate{}, scale{}, gateSum{}, scaleSum{}, shiftSum{};
    if (place.isInside) {
        if (hasBranch) gate = load(a.gate[place.sample] + place.column);
        if (hasNorm) scale = load(a.scale[place.sample] + place.column);
    }
    for (long long row = place.start; row < place.stop; row += backwardRows) {
        Four<float> above[backwardRows]{}, n[backwardRows]{}, v[backwardRows]{};
        Four<T> branch[backwardRows]{};
        float inverse[backwardRows]{}, means[2 * backwardRows]{};  // of v, and of v n
        for (int r = 0; r < backwardRows; r++) {
            if (!place.isInside || row + r >= place.stop) continue;
            const long long at = (row + r) * width + place.column;
            if (hasBranch) above[r] = load(a.gradientSum + at), branch[r] = load(a.branch + at);
            if (!hasNorm) continue;
            const Four<float> stream = load(a.stream + at);
            const Four<T> incoming = load(a.gradientNormed + at);
            const float mean = a.statistics[2 * (row + r)];
            inverse[r] = a.statistics[2 * (row + r) + 1];
            for (int i = 0; i < 4; i++) {
                const float g = widen(incoming.at[i]);
                n[r].at[i] = (stream.at[i] - mean) * inverse[r];
                v[r].at[i] = g * (1 + scale.at[i]);
                means[r] += v[r].at[i];
                means[backwardRows + r] += v[r].at[i] * n[r].at[i];
                scaleSum.at[i] += g * n[r].at[i];
                shiftSum.at[i] += g;
            }
        }
        if (hasNorm) sumOverBlock(means);
        for (int r = 0; r < backwardRows; r++) {
            if (!place.isInside || row + r >= place.stop) continue;
            const long long at = (row + r) * width + place.column;
            Four<float> h{};
            Four<T> gradientBranch;
            for (int i = 0; i < 4; i++) {
                if (hasNorm)
                    h.at[i] = inverse[r] * (v[r].at[i] - means[r] / (float)width -
                                            n[r].at[i] * (means[backwardRows + r] / (float)width));
                if (!hasBranch) continue;
                h.at[i] += above[r].at[i];
                gateSum.at[i] += widen(branch[r].at[i]) * h.at[i];
                gradientBranch.at[i] = narrow<T>(gate.at[i] * h.at[i]);
            }
            if (hasBranch) store(a.gradientBranch + at, gradientBranch);
            if (hasNorm) store(a.gradientX + at, h);
        }
    }
    if (!place.isInside) return;
    const long long sums = blockIdx.x * width + place.column;
    if (hasBranch) store(a.gateSums + sums, gateSum);
    if (hasNorm) store(a.scaleSums + sums, scaleSum), store(a.shiftSums + sums, shiftSum);
}

}  // namespace loops

#define KERNELS(name, T, hasBranch, hasNorm)                                                                              \
    extern "C" __global__ void __launch_bounds__(512)  forward_##name(loops::ResidualForwardArguments<T> a) {             \
        loops::forwardUnit<T, hasBranch, hasNorm>(a);                                                                     \
    }                                                                                                                     \
    extern "C" __global__ void __launch_bounds__(512)  backward_##name(loops::ResidualBackwardArguments<T> a) {           \
        loops::backwardUnit<T, hasBranch, hasNorm>(a);                                                                    \
    }
KERNELS(branch, float, true, false)
KERNELS(norm, float, false, true)
KERNELS(branch_norm, float, true, true)
KERNELS(branch_half, loops::Half, true, false)
KERNELS(norm_half, loops::Half, false, true)
KERNELS(branch_norm_half, loops::Half, true, true)
#undef KERNELS
