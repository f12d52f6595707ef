// What every kernel with its own backward pass needs from libtorch's autograd.
#pragma once
#include <ATen/core/Tensor.h>
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

inline void refuseSecondDerivative(const char *name) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "the fused ", name, " has no second derivative; use the plain kernels");
}

}  // namespace recording
