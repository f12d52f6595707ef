// Runs the CUDA kernels on the CPU, one thread of the system for each of a block: slow, and good to see
// what they compute where there is no GPU.
#pragma once
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The forward and then the backward kernel. Without a branch, or without a norm, its arrays are NULL. x, branch, sum, normed and
/// their gradients are [B, N, D], the vectors and theirs [B, D], and so are the sums of the branch's gradient over its rows. With
/// `isHalf` branch, normed and their gradients are rounded to bfloat16 on the way in and out.
typedef struct {
    long long samples, rows, width;
    bool isHalf;
    float epsilon;
    const float *x, *branch, *gate, *scale, *shift, *gradientSum, *gradientNormed;
    float *sum, *normed, *gradientX, *gradientBranch, *gradientGate, *gradientScale, *gradientShift,
        *gradientBranchSums;
} emulated_residual;

void emulate_residual(const emulated_residual *arrays);

/// The same for GELU: x, its gradients and y are [rows, width], the sums [width].
typedef struct {
    long long rows, width;
    bool isHalf;
    const float *x, *gradient;
    float *y, *gradientX, *sums;
} emulated_gelu;

void emulate_gelu(const emulated_gelu *arrays);

#ifdef __cplusplus
}
#endif
