// Large products of matrices on the CPU, those of a linear layer.
#pragma once
#include <ATen/core/Tensor.h>
#include <optional>

namespace panelProducts {

/// Whether `forward` and `gradientX` know operands like x [rows, I] and a weight [O, I], dense and of one type, and gain
/// something.
bool know(const at::Tensor &x, const at::Tensor &weight);

/// The same for `gradients`.
bool knowGradient(const at::Tensor &x, const at::Tensor &weight);

/// x W^T + b: [rows, O], of the type of x.
at::Tensor forward(const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias);

/// G W [rows, I] of G [rows, O]: the gradient of x, of the type of G.
at::Tensor gradientX(const at::Tensor &gradient, const at::Tensor &weight);

/// What comes back of a layer's W and b, in float32.
struct Gradients {
    at::Tensor weight;  // G^T x [O, I]
    at::Tensor bias;    // the sum over the rows of G; undefined where it would be a pass of its own
};

Gradients gradients(const at::Tensor &gradient, const at::Tensor &x);

}  // namespace panelProducts
