// What packed-attention.cpp has of the CPU's attention (attention.cpp): packed [B, N, 3 H d], y [B, N, H d].
#pragma once
#include <ATen/core/Tensor.h>

namespace packedAttention {

/// Whether the loops know type and device of a tensor; N and d have to be even.
bool isOnCPU(const at::Tensor &t);

/// For what the forward pass leaves to the backward pass.
at::Tensor statisticsOnCPU(const at::Tensor &packed, int64_t heads);

/// y. Fills `statistics`, unless it is undefined.
at::Tensor forwardOnCPU(const at::Tensor &packed, int64_t heads, const at::Tensor &statistics);

/// Fills `gradientPacked`.
void backwardOnCPU(const at::Tensor &packed, int64_t heads, const at::Tensor &y, const at::Tensor &statistics,
                   const at::Tensor &gradientY, const at::Tensor &gradientPacked);

}  // namespace packedAttention
