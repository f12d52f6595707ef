// The arguments of the loops in residual.h (CPU) and residual-cuda.h: plain numbers in, plain numbers out. With a branch the
// stream x [B, N, D] becomes the sum x + gate * branch; with a norm the stream is also normalised, scaled and shifted.
#pragma once
#include "numbers.h"

namespace loops {

/// The sizes of x [B, N, D], whose rows are processed in units: a number of rows of one sample. That number follows from the
/// device alone, so sums over rows are always the same.
struct Sizes {
    long long samples, rows, width, unitRows;

    INLINE long long unitsOfSample() const { return (rows + unitRows - 1) / unitRows; }
    INLINE long long units() const { return samples * unitsOfSample(); }
    INLINE long long elements() const { return samples * rows * width; }
};

/// One vector per sample, `stride` apart, so that the parts of a modulation's output need no copy.
struct Vectors {
    const float *data;
    long long stride;

    INLINE const float *operator[](long long sample) const { return data + sample * stride; }
};

/// The forward arguments; T is the type of the products before and after.
template <class T> struct ResidualForwardArguments {
    Sizes sizes;
    const float *x;
    const T *branch;
    Vectors gate, scale, shift;
    float epsilon;
    float *sum;
    T *normed;
    float *statistics;  // mean and 1 / deviation of each row; null if there will be no backward pass
};

/// The backward arguments. The gradient of the sum and the gradient from the norm, (v - mean of v - n * mean of v n) / deviation
/// with n = (stream - mean) / deviation and v = g (1 + scale), add up to the gradient h of the stream. The gradient of the branch
/// is gate * h. The gradients of gate, scale and shift are branch * h, g n and g, summed over the rows of each unit.
/// `branchSums`, gate * h summed in the same way, is for the bias before the branch; the CPU kernels do not fill it.
template <class T> struct ResidualBackwardArguments {
    Sizes sizes;
    const float *stream;
    const T *branch;
    Vectors gate, scale;
    const float *statistics;
    const float *gradientSum;
    const T *gradientNormed;
    float *gradientX;
    T *gradientBranch;
    float *gateSums, *scaleSums, *shiftSums, *branchSums;  // [units, D]
};

}  // namespace loops
