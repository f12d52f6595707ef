// Linear layers of the CPU. Their plain twin is libtorch's `linear`.
//
// What is clever. Operands in float32 go to oneDNN, not to MKL: on AMD's processors it is faster for x W^T + b and for the
// gradient of x, which is a product of the same kind with W transposed: 10 to 25 % on Zen 4, and more than twice as fast on Zen 5,
// since MKL uses half of its vectors. The gradient of W, whose sums are over rows, is the
// exception on Zen 4. Which library computes a product follows from the processor alone, never from a measurement, so that the same
// run gives the same bits. Operands in bfloat16 are oneDNN's in libtorch too; there the weights come rounded already, and stay so
// until the optimiser moves them.
//
// Why it is safe. oneDNN is called through libtorch's own operator, on libtorch's threads. Saved tensors are saved through
// libtorch, which notices when somebody has written to them since. A second derivative is refused, not wrong.
#include "border.h"
#include "column-sums.h"
#include "parallel.h"
#include "recording.h"
#include "sums.h"
#include "transposition.h"
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <cpuid.h>
using namespace border;
using namespace loops;
using namespace parallel;
using namespace recording;

namespace {

/// x W^T + b for x [rows, I] and W [O, I], which may be a transposed view.
Tensor product(const Tensor &x, const Tensor &weight, const std::optional<Tensor> &bias) {
    using Signature = Tensor(const Tensor &, const Tensor &, const std::optional<Tensor> &, std::string_view,
                             c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
    static const auto linear = c10::Dispatcher::singleton()
                                   .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                                   .typed<Signature>();
    static const c10::List<std::optional<at::Scalar>> nothing;
    c10::impl::ExcludeDispatchKeyGuard noGradients(c10::autograd_dispatch_keyset);
    return linear.call(x, weight, bias, "none", nothing, std::nullopt);
}

Tensor rows(const Tensor &x) { return x.reshape({-1, x.size(-1)}); }

/// Whether this is an AMD processor with multipliers for whole vectors of 512 bits: family 0x1A, Zen 5, or newer.
bool hasWideMultipliers() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(0, &a, &b, &c, &d) || b != signature_AMD_ebx) return false;
    __get_cpuid(1, &a, &b, &c, &d);
    return (a >> 8 & 0xF) + (a >> 20 & 0xFF) >= 0x1A;
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

/// The sum over the rows of a dense [..., O], in float32: the gradient of a bias.
Tensor biasGradient(const Tensor &gradient) {
    Tensor t = rows(gradient);
    if (!t.is_cpu()) {
        const Tensor known = ColumnSums::of(gradient);
        return at::sum(known.defined() ? known : t, {0}, false, at::kFloat);
    }
    return t.scalar_type() == at::kBFloat16 ? columnSums<Half>(t) : columnSums<float>(t);
}

/// t^T as a tensor of its own, which oneDNN would make too, but slower.
Tensor transposed(const Tensor &t) {
    Tensor from = t.contiguous(), to = at::empty({t.size(1), t.size(0)}, t.options());
    run<float>(Transpose{input(from), t.size(0), t.size(1), output(to)},
        (t.size(0) + Transpose::rowsOfUnit - 1) / Transpose::rowsOfUnit, t.numel());
    return to;
}

/// G^T X [O, I] of G [rows, O] and X [rows, I]. oneDNN is faster where the first operand is the smaller one.
Tensor productOverRows(const Tensor &gradient, const Tensor &x) {
    static const bool isByOneDNN = hasWideMultipliers();
    if (!isByOneDNN) return at::mm(gradient.t(), x);
    return gradient.size(1) <= x.size(1) ? product(transposed(gradient), x.t(), std::nullopt)
                                         : transposed(product(transposed(x), gradient.t(), std::nullopt));
}

struct Linear : torch::autograd::Function<Linear> {
    static Tensor forward(AutogradContext *context, Tensor x, Tensor weight, std::optional<Tensor> bias) {
        context->save_for_backward({x, weight});
        context->saved_data["hasBias"] = bias.has_value();
        return product(x, weight, bias);
    }

    static variable_list backward(AutogradContext *context, variable_list outputs) {
        refuseSecondDerivative("linear layer");
        variable_list saved = context->get_saved_variables();
        const Tensor &x = saved[0], &weight = saved[1];
        Tensor whole = outputs[0].contiguous(), gradient = rows(whole), gradientX, gradientWeight, gradientBias;
        if (context->needs_input_grad(0)) gradientX = product(gradient, weight.t(), std::nullopt).view(x.sizes());
        if (context->needs_input_grad(1)) gradientWeight = productOverRows(gradient, rows(x));
        if (context->saved_data["hasBias"].toBool() && context->needs_input_grad(2)) gradientBias = biasGradient(whole);
        return {gradientX, gradientWeight, gradientBias};
    }
};

/// The same with operands in bfloat16, by libtorch's own products, also on CUDA. `rounded` is `weight`, whose gradient is
/// float32.
struct RoundedLinear : torch::autograd::Function<RoundedLinear> {
    static Tensor forward(AutogradContext *context, Tensor x, Tensor weight, Tensor rounded,
                          std::optional<Tensor> bias) {
        context->save_for_backward({x, rounded});
        context->saved_data["hasBias"] = bias.has_value();
        return roundedProduct(x, rounded, bias);
    }

    static variable_list backward(AutogradContext *context, variable_list outputs) {
        refuseSecondDerivative("linear layer");
        variable_list saved = context->get_saved_variables();
        const Tensor &x = saved[0], &rounded = saved[1];
        Tensor whole = outputs[0].contiguous(), gradient = rows(whole), gradientX, gradientWeight, gradientBias;
        // cuBLAS is up to a quarter slower where W is wider than high; as the transposed of something high it is not.
        const bool isTurned = x.is_cuda() && rounded.size(0) < rounded.size(1);
        if (context->needs_input_grad(0))
            gradientX = (isTurned ? at::linear(gradient, rounded.t().contiguous()) : at::mm(gradient, rounded)).view(x.sizes());
        if (context->needs_input_grad(1))
            gradientWeight = isTurned ? wideProduct(rows(x).t(), gradient).t().contiguous()
                                      : wideProduct(gradient.t(), rows(x));
        if (context->saved_data["hasBias"].toBool() && context->needs_input_grad(3)) gradientBias = biasGradient(whole);
        return {gradientX, gradientWeight, Tensor(), gradientBias};
    }

    /// In float32; CUDA's product leaves its sums unrounded, oneDNN's rounds them.
    static Tensor wideProduct(const Tensor &a, const Tensor &b) {
        return a.is_cuda() ? at::mm(a, b, at::kFloat) : at::mm(a, b).to(at::kFloat);
    }

    static Tensor roundedProduct(const Tensor &x, const Tensor &rounded, const std::optional<Tensor> &bias) {
        return at::linear(x, rounded, bias ? std::optional(bias->to(at::kBFloat16)) : std::nullopt);
    }
};

}  // namespace

int32_t ct_linear(const ct_tensor *x, const ct_tensor *weight, const ct_tensor *bias, ct_tensor **out) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::linear layer");
        const Tensor &in = view(x), &weights = view(weight);
        std::optional<Tensor> biases = bias ? std::optional(view(bias)) : std::nullopt;
        bool hasGradient = isRecorded({&in, &weights}) || (biases && isRecorded({&*biases}));
        *out = own(hasGradient ? Linear::apply(in, weights, biases) : product(in, weights, biases));
    });
}

int32_t ct_rounded_linear(const ct_tensor *x, const ct_tensor *weight, const ct_tensor *rounded, const ct_tensor *bias,
                          ct_tensor **out) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::rounded linear layer");
        const Tensor &in = view(x), &weights = view(weight), &halves = view(rounded);
        std::optional<Tensor> biases = bias ? std::optional(view(bias)) : std::nullopt;
        bool hasGradient = isRecorded({&in, &weights}) || (biases && isRecorded({&*biases}));
        *out = own(hasGradient ? RoundedLinear::apply(in, weights, halves, biases)
                               : RoundedLinear::roundedProduct(in, halves, biases));
    });
}
