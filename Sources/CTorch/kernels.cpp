// Kernels of the CPU for what stands between a transformer's matrix products: LayerNorm with modulation, the sum with a
// gate, and GELU, for operands in float32 or bfloat16; residual sums, statistics and gates are float32.
// Their plain twins, composed of libtorch's operators, stand in Sources/Torch/Kernels.swift and say what is computed.
//
// What is clever. Such functions only move memory, and composed of operators they move the same numbers many times.
// Here a row is normalised, scaled and shifted while it lies in the first cache, and one reading of x and of the
// incoming gradient makes all three gradients. GELU is x s(2u) with the sigmoid s; its exponential is a polynomial
// that compilers turn into vector code, and its derivative needs s alone, not the tanh of the forward pass.
//
// Why it is safe.
// - Results do not depend on the number of threads (parallel.h): a sum over rows is made inside a unit, and sums of units
//   are added in order.
// - The loops (loops.h) neither allocate nor throw: every array is made before they start, and inputs stay as they are.
// - What the backward pass reads (x, scale, mean and 1 / deviation) is saved through libtorch, which notices when
//   somebody has written to it since. Without gradients nothing is saved. A second derivative is refused, not wrong.
#include "border.h"
#include "loops.h"
#include "parallel.h"
#include "recording.h"
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>
using namespace border;
using namespace loops;
using namespace parallel;
using namespace recording;
using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

template <class T = float> const T *input(const Tensor &t) { return static_cast<const T *>(t.const_data_ptr()); }
template <class T = float> T *output(const Tensor &t) { return static_cast<T *>(t.mutable_data_ptr()); }

bool isHalf(const Tensor &t) { return t.scalar_type() == at::kBFloat16; }

/// Calls `body` with a number of the tensor's type, float or Half.
template <class Body> auto dispatch(const Tensor &t, Body body) { return isHalf(t) ? body(Half()) : body(float()); }

// ---- Vectors of each sample ----------------------------------------------------------------------------------------

Sizes sizesOf(const Tensor &x) { return {x.size(0), x.size(1), x.size(2)}; }
Vectors vectorsOf(const Tensor &t) { return {input(t), t.stride(0)}; }

/// Every sample's vector in one piece; how far the samples are apart does not matter.
Tensor withDenseRows(const Tensor &vectors) { return vectors.stride(-1) == 1 ? vectors : vectors.contiguous(); }

/// Sums over the rows of each sample: the units' sums, and what they add up to, [B, D] in `shape`.
struct RowSums {
    Tensor units, whole;
    Sizes sizes;

    RowSums(Sizes sizes, at::IntArrayRef shape, const at::TensorOptions &options) : sizes(sizes) {
        whole = at::empty(shape, options);
        // Where a sample is one unit, the unit's sum is the whole.
        int64_t count = sizes.unitsOfSample();
        units = count == 1 ? whole : at::empty({sizes.samples, count, sizes.width}, options);
    }

    Tensor added() const {
        if (!units.is_same(whole))
            run(SumInOrder{sizes.unitsOfSample(), sizes.width, input(units), output(whole)}, sizes.samples,
                units.numel());
        return whole;
    }
};

// ---- LayerNorm with modulation -------------------------------------------------------------------------------------

/// In bfloat16 or float32, as the product wants it that comes next.
Tensor normalised(const Tensor &x, const Tensor &scale, const Tensor &shift, double epsilon, bool isHalf,
                  float *statistics) {
    Tensor y = at::empty(x.sizes(), x.options().dtype(isHalf ? at::kBFloat16 : at::kFloat));
    Tensor shifts = withDenseRows(shift);
    Sizes sizes = sizesOf(x);
    dispatch(y, [&](auto number) {
        using T = decltype(number);
        run(NormForward<T>{sizes, input(x), vectorsOf(scale), vectorsOf(shifts), (float)epsilon, output<T>(y),
                           statistics},
            sizes.samples * sizes.rows, sizes.elements());
    });
    return y;
}

struct ModulatedNorm : torch::autograd::Function<ModulatedNorm> {
    static Tensor forward(AutogradContext *context, Tensor x, Tensor scale, Tensor shift, double epsilon, bool isHalf) {
        x = x.contiguous();
        scale = withDenseRows(scale);
        Tensor statistics = at::empty({x.size(0), x.size(1), 2}, x.options());
        context->save_for_backward({x, scale, statistics});
        return normalised(x, scale, shift, epsilon, isHalf, output(statistics));
    }

    static variable_list backward(AutogradContext *context, variable_list outputs) {
        refuseSecondDerivative("modulated norm");
        variable_list saved = context->get_saved_variables();
        const Tensor &x = saved[0], &scale = saved[1], &statistics = saved[2];
        Tensor gradient = outputs[0].contiguous();
        Sizes sizes = sizesOf(x);
        Tensor gradientX = at::empty_like(x);
        RowSums sumsScale(sizes, scale.sizes(), x.options()), sumsShift(sizes, scale.sizes(), x.options());
        dispatch(gradient, [&](auto number) {
            using T = decltype(number);
            run(NormBackward<T>{sizes, input(x), input<T>(gradient), vectorsOf(scale), input(statistics),
                                output(gradientX), output(sumsScale.units), output(sumsShift.units)},
                sizes.samples * sizes.unitsOfSample(), sizes.elements());
        });
        return {gradientX, sumsScale.added(), sumsShift.added(), Tensor(), Tensor()};
    }
};

// ---- Sum with a gate -----------------------------------------------------------------------------------------------

Tensor gated(const Tensor &x, const Tensor &branch, const Tensor &gate) {
    Tensor y = at::empty_like(x);
    Sizes sizes = sizesOf(x);
    dispatch(branch, [&](auto number) {
        using T = decltype(number);
        run(GateForward<T>{sizes, input(x), input<T>(branch), vectorsOf(gate), output(y)}, sizes.samples * sizes.rows,
            sizes.elements());
    });
    return y;
}

struct GatedSum : torch::autograd::Function<GatedSum> {
    static Tensor forward(AutogradContext *context, Tensor x, Tensor branch, Tensor gate) {
        branch = branch.contiguous();
        gate = withDenseRows(gate);
        context->save_for_backward({branch, gate});
        return gated(x.contiguous(), branch, gate);
    }

    static variable_list backward(AutogradContext *context, variable_list outputs) {
        refuseSecondDerivative("sum with a gate");
        variable_list saved = context->get_saved_variables();
        const Tensor &branch = saved[0], &gate = saved[1];
        Tensor gradient = outputs[0].contiguous(), gradientBranch = at::empty_like(branch);
        Sizes sizes = sizesOf(branch);
        RowSums sums(sizes, gate.sizes(), gate.options());
        dispatch(branch, [&](auto number) {
            using T = decltype(number);
            run(GateBackward<T>{sizes, input(gradient), input<T>(branch), vectorsOf(gate), output<T>(gradientBranch),
                                output(sums.units)},
                sizes.samples * sizes.unitsOfSample(), sizes.elements());
        });
        return {gradient, gradientBranch, sums.added()};
    }
};

// ---- GELU ----------------------------------------------------------------------------------------------------------

int64_t geluUnits(int64_t count) { return (count + unitElements - 1) / unitElements; }

Tensor activated(const Tensor &x) {
    Tensor y = at::empty_like(x);
    dispatch(x, [&](auto number) {
        using T = decltype(number);
        run(GeluForward<T>{x.numel(), input<T>(x), output<T>(y)}, geluUnits(x.numel()), x.numel());
    });
    return y;
}

struct Gelu : torch::autograd::Function<Gelu> {
    static Tensor forward(AutogradContext *context, Tensor x) {
        x = x.contiguous();
        context->save_for_backward({x});
        return activated(x);
    }

    static variable_list backward(AutogradContext *context, variable_list outputs) {
        refuseSecondDerivative("GELU");
        Tensor x = context->get_saved_variables()[0], gradient = outputs[0].contiguous();
        Tensor gradientX = at::empty_like(x);
        dispatch(x, [&](auto number) {
            using T = decltype(number);
            run(GeluBackward<T>{x.numel(), input<T>(x), input<T>(gradient), output<T>(gradientX)},
                geluUnits(x.numel()), x.numel());
        });
        return {gradientX};
    }
};

}  // namespace

int32_t ct_modulated_norm(const ct_tensor *x, const ct_tensor *scale, const ct_tensor *shift, double epsilon,
                          bool isHalf, ct_tensor **out) {
    return guarded([&] {
        const Tensor &in = view(x), &scales = view(scale), &shifts = view(shift);
        *out = own(isRecorded({&in, &scales, &shifts})
                       ? ModulatedNorm::apply(in, scales, shifts, epsilon, isHalf)
                       : normalised(in.contiguous(), withDenseRows(scales), shifts, epsilon, isHalf, nullptr));
    });
}

int32_t ct_gated_sum(const ct_tensor *x, const ct_tensor *branch, const ct_tensor *gate, ct_tensor **out) {
    return guarded([&] {
        const Tensor &in = view(x), &added = view(branch), &gates = view(gate);
        *out = own(isRecorded({&in, &added, &gates}) ? GatedSum::apply(in, added, gates)
                                                    : gated(in.contiguous(), added.contiguous(), withDenseRows(gates)));
    });
}

int32_t ct_gelu(const ct_tensor *x, ct_tensor **out) {
    return guarded([&] {
        const Tensor &in = view(x);
        *out = own(isRecorded({&in}) ? Gelu::apply(in) : activated(in.contiguous()));
    });
}
