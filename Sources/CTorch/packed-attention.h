// The CPU's attention (attention.cpp) as used by packed-attention.cpp: packed [B, N, 3 H d], y [B, N, H d].
#pragma once
#include <ATen/core/Tensor.h>

namespace packedAttention {

/// Whether the loops support the type and device of a tensor; N and d must be even.
bool isOnCPU(const at::Tensor &t);

/// Allocates the statistics that the forward pass saves for the backward pass.
at::Tensor statisticsOnCPU(const at::Tensor &packed, int64_t heads);

/// Computes y. Fills `statistics`, unless it is undefined.
at::Tensor forwardOnCPU(const at::Tensor &packed, int64_t heads, const at::Tensor &statistics);

/// Fills `gradientPacked`.
void backwardOnCPU(const at::Tensor &packed, int64_t heads, const at::Tensor &y, const at::Tensor &statistics,
                   const at::Tensor &gradientY, const at::Tensor &gradientPacked);

}  // namespace packedAttention
