// Tensors as the kernels of both devices read them; on CUDA in units of 16 bytes.
#pragma once
#include <ATen/core/Tensor.h>

namespace border {

inline bool isAligned(const at::Tensor &t) {
    return t.is_cpu() || reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
}

/// A contiguous and aligned copy, or the tensor itself if it already is.
inline at::Tensor dense(const at::Tensor &t) {
    at::Tensor whole = t.contiguous();
    return isAligned(whole) ? whole : whole.clone();
}

}  // namespace border
