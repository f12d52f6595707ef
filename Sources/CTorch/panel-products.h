// Large matrix products on the CPU, for linear layers.
#pragma once
#include <ATen/core/Tensor.h>
#include <optional>

namespace panelProducts {

/// Whether `forward` and `gradientX` support operands like x [rows, I] and a weight [O, I], dense and of one type, and are faster
/// for them.
bool know(const at::Tensor &x, const at::Tensor &weight);

/// Whether `gradients` supports such operands and is faster for them.
bool knowGradient(const at::Tensor &x, const at::Tensor &weight);

/// x W^T + b: [rows, O], in the type of x.
at::Tensor forward(const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias);

/// The gradient of x, G W [rows, I] for G [rows, O], in the type of G.
at::Tensor gradientX(const at::Tensor &gradient, const at::Tensor &weight);

/// The gradients of a layer's W and b, in float32.
struct Gradients {
    at::Tensor weight;  // G^T x [O, I]
    at::Tensor bias;    // the sum over the rows of G
};

Gradients gradients(const at::Tensor &gradient, const at::Tensor &x);

}  // namespace panelProducts
