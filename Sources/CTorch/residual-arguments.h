// What the loops of residual.h (CPU) and residual-cuda.h get: plain numbers in, plain numbers out. With a branch the stream x
// [B, N, D] becomes the sum x + gate * branch; with a norm the stream is normalised, scaled and shifted besides.
#pragma once
#include "numbers.h"

namespace loops {

/// x [B, N, D], whose rows are done in units: so many rows of one sample. Their number follows from the device alone, so that
/// sums over rows are always the same.
struct Sizes {
    long long samples, rows, width, unitRows;

    INLINE long long unitsOfSample() const { return (rows + unitRows - 1) / unitRows; }
    INLINE long long units() const { return samples * unitsOfSample(); }
    INLINE long long elements() const { return samples * rows * width; }
};

/// A vector of each sample; they lie `stride` apart, so that the parts of a modulation's output need no copy.
struct Vectors {
    const float *data;
    long long stride;

    INLINE const float *operator[](long long sample) const { return data + sample * stride; }
};

/// T is the type of the products before and behind.
template <class T> struct ResidualForwardArguments {
    Sizes sizes;
    const float *x;
    const T *branch;
    Vectors gate, scale, shift;
    float epsilon;
    float *sum;
    T *normed;
    float *statistics;  // mean and 1 / deviation of each row; null where there will be no backward pass
};

/// The gradient that comes back at the sum, and with n = (stream - mean) / deviation and v = g (1 + scale) what comes from the
/// norm, (v - mean of v - n * mean of v n) / deviation, add up to the gradient h of the stream. Of the branch it is gate * h.
/// Of gate, scale and shift it is branch * h, g n and g, summed over the rows of each unit. `branchSums`, gate * h summed in the
/// same way, is what a bias in front of the branch needs; the kernels of the CPU leave it alone.
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
