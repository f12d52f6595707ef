// Tensors as the kernels of both devices read them: on CUDA in pieces of 16 bytes.
#pragma once
#include <ATen/core/Tensor.h>

namespace border {

inline bool isAligned(const at::Tensor &t) {
    return t.is_cpu() || reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
}

/// Contiguous and aligned: the tensor itself where it is.
inline at::Tensor dense(const at::Tensor &t) {
    at::Tensor whole = t.contiguous();
    return isAligned(whole) ? whole : whole.clone();
}

}  // namespace border
