// What every kernel with its own backward pass needs from libtorch's autograd.
#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/record_function.h>
#include <algorithm>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

namespace recording {
using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Whether a function of these tensors must be recorded for a backward pass.
inline bool isRecorded(std::initializer_list<const at::Tensor *> inputs) {
    return c10::GradMode::is_enabled() && std::any_of(inputs.begin(), inputs.end(),
                                                      [](const at::Tensor *t) { return t->requires_grad(); });
}

/// Memory for a result like `gradient`, a dense tensor that a loop reads in the same order: its own memory if nothing else holds
/// it, since fresh memory would be fetched before it is overwritten.
inline Tensor memoryLike(const Tensor &gradient) {
    const bool isOurs = gradient.is_cpu() && gradient.use_count() == 1 && gradient.storage().use_count() == 1;
    return isOurs ? gradient : at::empty_like(gradient);
}

/// Whether this thread computes a segment again for its backward pass (recomputation.cpp): then memory counts more than time.
inline thread_local bool isRecomputing = false;

inline void refuseSecondDerivative(const char *name) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "the fused ", name, " has no second derivative; use the plain kernels");
}

}  // namespace recording
