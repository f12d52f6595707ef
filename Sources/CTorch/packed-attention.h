// The CPU's attention (attention.cpp) as used by packed-attention.cpp: packed [B, N, 3 H d], y [B, N, H d].
#pragma once
#include <ATen/core/Tensor.h>

namespace packedAttention {

/// Whether the loops support the type and device of a tensor; N and d must be even.
bool isOnCPU(const at::Tensor &t);

/// What a forward pass leaves for the backward pass; undefined if there will be none.
struct Kept {
    at::Tensor statistics;  // the greatest score and the sum of each query, [B, H, N, 2]
    at::Tensor weights;     // [B, H, N, N]; undefined for many tokens
};

Kept allocateOnCPU(const at::Tensor &packed, int64_t heads);

/// Computes y. Fills `kept`.
at::Tensor forwardOnCPU(const at::Tensor &packed, int64_t heads, const Kept &kept);

/// Fills `gradientPacked`.
void backwardOnCPU(const at::Tensor &packed, int64_t heads, const at::Tensor &y, const Kept &kept, const at::Tensor &gradientY,
                   const at::Tensor &gradientPacked);

}  // namespace packedAttention
