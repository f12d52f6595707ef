// Attention of the CPU for queries, keys and values that lie beside each other (attention.cpp).
#pragma once
#include <ATen/core/Tensor.h>

/// Whether its loops know the type of q.
bool hasAttentionOfCPU(const at::Tensor &q);

/// [B, N, 3 H d] -> [B, N, H d], with even N and d.
at::Tensor packedAttentionOfCPU(const at::Tensor &packed, int64_t heads);
