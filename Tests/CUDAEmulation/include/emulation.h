// Runs the CUDA kernels on the CPU. Each function returns NULL, or what a kernel has done that a GPU does not allow; that text
// lasts until the thread calls one of them again.
#pragma once
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The forward and then the backward kernel. Without a branch, or without a norm, its arrays are NULL. x, branch, sum, normed and
/// their gradients are [B, N, D], the vectors and theirs [B, D], and so are the sums of the branch's gradient over its rows. With
/// `isBF16` branch, normed and their gradients are rounded to bfloat16 on the way in and out.
typedef struct {
    long long samples, rows, width;
    bool isBF16;
    float epsilon;
    const float *x, *branch, *gate, *scale, *shift, *gradientSum, *gradientNormed;
    float *sum, *normed, *gradientX, *gradientBranch, *gradientGate, *gradientScale, *gradientShift,
        *gradientBranchSums;
} emulated_residual;

const char *emulate_residual(const emulated_residual *arrays);

/// The same for GELU: x, its gradients and y are [rows, width], the sums [width].
typedef struct {
    long long rows, width;
    bool isBF16;
    const float *x, *gradient;
    float *y, *gradientX, *sums;
} emulated_gelu;

const char *emulate_gelu(const emulated_gelu *arrays);

/// The same for attention, whose arrays are all rounded to bfloat16 on the way in and out, but for the sums: packed and its
/// gradient are [B, N, 3, H, D], output and its gradient [B, N, H, D], and the sums [B, 3, H, D] those of gradientPacked over the
/// tokens. D is 64 or 72.
typedef struct {
    long long samples, heads, tokens, width;
    const float *packed, *gradientOutput;
    float *output, *gradientPacked, *sums;
} emulated_attention;

const char *emulate_attention(const emulated_attention *arrays);

#ifdef __cplusplus
}
#endif
