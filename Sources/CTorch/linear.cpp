// Linear layers, on the CPU and on CUDA. Their plain counterpart is libtorch's `linear`.
//
// How it is fast. Large products on the CPU are blocked for its caches (panel-products.cpp); others are libtorch's. Which of them
// computes a product follows from the processor and from shapes alone, never from a measurement, so the same run gives the same
// bits. For products in bfloat16 the weights are rounded in advance, and the rounded ones are reused until the optimiser updates
// them.
//
// Why it is safe. Saved tensors are saved through libtorch, which detects later writes to them. A second derivative is refused
// rather than wrong.
#include "border.h"
#include "column-sums.h"
#include "panel-products.h"
#include "parallel.h"
#include "recording.h"
#include "sums.h"
#include <ATen/ops/_unsafe_view.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
using namespace border;
using namespace loops;
using namespace parallel;
using namespace recording;

namespace {

Tensor rows(const Tensor &x) { return x.reshape({-1, x.size(-1)}).contiguous(); }

// ---- The three products of a layer, for x [rows, I], W [O, I] and G [rows, O] of one type --------------------------

/// x W^T + b.
Tensor product(const Tensor &x, const Tensor &weight, const std::optional<Tensor> &bias) {
    if (panelProducts::know(x, weight)) return panelProducts::forward(x, weight, bias);
    return at::linear(x, weight, bias);
}

/// Whether to compute the transposed product: cuBLAS is up to a quarter slower where W is wider than tall, but not for the
/// transpose of a tall one.
bool isFasterTransposed(const Tensor &x, const Tensor &weight) { return x.is_cuda() && weight.size(0) < weight.size(1); }

/// G W, the gradient of x.
Tensor productWithWeight(const Tensor &gradient, const Tensor &weight) {
    if (panelProducts::know(gradient, weight)) return panelProducts::gradientX(gradient, weight);
    return isFasterTransposed(gradient, weight) ? at::linear(gradient, weight.t().contiguous()) : at::mm(gradient, weight);
}

/// G^T x in float32, the gradient of W.
Tensor productOverRows(const Tensor &gradient, const Tensor &x, const Tensor &weight) {
    if (x.is_cpu() || x.scalar_type() == at::kFloat) return at::mm(gradient.t(), x).to(at::kFloat);
    return isFasterTransposed(x, weight) ? at::mm(x.t(), gradient, at::kFloat).t().contiguous() : at::mm(gradient.t(), x, at::kFloat);
}

template <class T> Tensor columnSums(const Tensor &t) {
    RowSums<T> inUnits{t.size(0), 64, t.size(1), input<T>(t), nullptr};
    Tensor parts = at::empty({inUnits.units(), t.size(1)}, t.options().dtype(at::kFloat));
    inUnits.to = output(parts);
    run<float>(inUnits, inUnits.units(), t.numel());
    if (parts.size(0) == 1) return parts[0];
    Tensor whole = at::empty({t.size(1)}, parts.options());
    run<float>(RowSums<float>{parts.size(0), parts.size(0), t.size(1), input(parts), output(whole)}, 1, parts.numel());
    return whole;
}

/// The sum over the rows of a dense [..., O], in float32: the bias gradient.
Tensor biasGradient(const Tensor &gradient) {
    Tensor t = rows(gradient);
    if (!t.is_cpu()) {
        const Tensor known = ColumnSums::of(gradient);
        return at::sum(known.defined() ? known : t, {0}, false, at::kFloat);
    }
    return t.scalar_type() == at::kBFloat16 ? columnSums<BFloat16>(t) : columnSums<float>(t);
}

panelProducts::Gradients gradients(const Tensor &gradient, const Tensor &x, const Tensor &weight) {
    if (panelProducts::knowGradient(x, weight)) return panelProducts::gradients(gradient, x);
    return {productOverRows(gradient, x, weight), Tensor()};
}

// ---- The layer -----------------------------------------------------------------------------------------------------

/// x W^T + b with `operand` as W: [..., O].
Tensor layer(const Tensor &x, const Tensor &operand, const std::optional<Tensor> &bias) {
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = operand.size(0);
    const auto rounded = bias ? std::optional(bias->to(x.scalar_type()).contiguous()) : std::nullopt;
    return product(rows(x), operand, rounded).view(shape);
}

/// The layer as an autograd function; `operand` is the weight or its rounded copy.
struct Linear : torch::autograd::Function<Linear> {
    static Tensor forward(AutogradContext *context, Tensor x, Tensor weight, Tensor operand, std::optional<Tensor> bias) {
        context->save_for_backward({x, operand});
        context->saved_data["hasBias"] = bias.has_value();
        return layer(x, operand, bias);
    }

    static variable_list backward(AutogradContext *context, variable_list outputs) {
        refuseSecondDerivative("linear layer");
        variable_list saved = context->get_saved_variables();
        const Tensor &x = saved[0], &operand = saved[1];
        const bool hasBias = context->saved_data["hasBias"].toBool() && context->needs_input_grad(3);
        Tensor whole = outputs[0].contiguous(), gradient = rows(whole), gradientX;
        panelProducts::Gradients own;
        // A view would keep the matrix as a second holder of the gradient's memory (recording.h).
        if (context->needs_input_grad(0)) gradientX = at::_unsafe_view(productWithWeight(gradient, operand), x.sizes());
        if (context->needs_input_grad(1)) own = gradients(gradient, rows(x), operand);
        if (hasBias && !own.bias.defined()) own.bias = biasGradient(whole);
        return {gradientX, own.weight, Tensor(), hasBias ? own.bias : Tensor()};
    }
};

/// Calls `Linear`; `given` becomes its `operand` and may have any layout.
Tensor linear(const Tensor &x, const Tensor &weight, const Tensor &given, const ct_tensor *bias) {
    const Tensor operand = given.detach().contiguous();
    const std::optional<Tensor> biases = bias ? std::optional(view(bias)) : std::nullopt;
    const bool hasGradient = isRecorded({&x, &weight}) || (biases && isRecorded({&*biases}));
    return hasGradient ? Linear::apply(x, weight, operand, biases) : layer(x, operand, biases);
}

}  // namespace

int32_t ct_linear(const ct_tensor *x, const ct_tensor *weight, const ct_tensor *bias, ct_tensor **out) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::linear layer");
        *out = own(linear(view(x), view(weight), view(weight), bias));
    });
}

int32_t ct_rounded_linear(const ct_tensor *x, const ct_tensor *weight, const ct_tensor *rounded, const ct_tensor *bias,
                          ct_tensor **out) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::rounded linear layer");
        *out = own(linear(view(x), view(weight), view(rounded), bias));
    });
}
