// The arguments of the kernels in gelu-cuda.h, and the constants of the formula.
#pragma once
#include "numbers.h"

namespace loops {

constexpr float geluSlope = 0.7978845608f, geluCubic = 0.044715f;  // u = sqrt(2 / pi) (x + 0.044715 x^3)
constexpr int geluColumns = 8, geluThreads = 64;  // columns of a thread; threads of a block

/// Forward: y = gelu(x) for x [rows, width], width a multiple of 8. Backward: gradientX = gelu'(x) gradient, and its sums over
/// the rows of each unit, [units, width], for the bias of the layer before.
template <class T> struct GeluArguments {
    long long rows, width, unitRows;
    const T *x, *gradient;
    T *result;    // y, or gradientX
    float *sums;  // null in the forward pass

    INLINE long long units() const { return (rows + unitRows - 1) / unitRows; }
    /// The number of blocks that share the columns of a unit.
    INLINE long long blocksOfUnit() const { return (width + geluColumns * geluThreads - 1) / (geluColumns * geluThreads); }
};

}  // namespace loops
