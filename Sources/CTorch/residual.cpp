// The operations of a transformer block on its residual stream between products: the sum with a gated branch, and LayerNorm with
// modulation, each alone or both in one pass; for products in float32 or bfloat16. The stream, statistics and gates are float32.
// Their plain counterparts, composed of libtorch's operators, are in Torch/Residual.swift and define what is computed.
//
// How it is fast. Such functions only move memory, and composed of operators they move the same numbers many times. Here a row is
// summed, normalised, scaled and shifted while it lies in the L1 cache or in registers, and one pass over the data produces all
// five gradients; the gradient arriving along the stream is added on the way.
//
// Why it is safe.
// - Results do not depend on the number of threads (parallel.h): a sum over rows is computed inside a unit, and sums of units are
//   added in order.
// - The loops (residual.h, residual-cuda.h) neither allocate nor throw: all arrays are allocated before they start. Inputs are
//   not modified, except for gradients that nothing else holds (recording.h).
// - Tensors for the backward pass are saved through libtorch, which detects later writes to them. Without gradients nothing is
//   saved. A second derivative is refused rather than wrong.
#include "border.h"
#include "column-sums.h"
#include "cuda.h"
#include "operands.h"
#include "parallel.h"
#include "recording.h"
#include "residual.h"
#include "sums.h"
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sum.h>
using namespace border;
using namespace loops;
using namespace parallel;
using namespace recording;

namespace {

// ---- Either device -------------------------------------------------------------------------------------------------

/// The kernels for a width, compiled for its number of pieces.
cuda::Program &cudaKernels(int64_t width) {
    static std::mutex mutex;
    static std::map<int64_t, cuda::Program> programs;
    std::lock_guard lock(mutex);
    const int64_t pieces = (width + 127) / 128;
    return programs.try_emplace(pieces, "residual-cuda.h", std::vector{"-DPIECES=" + std::to_string(pieces)}).first->second;
}

/// Rows of a unit: few on CUDA, so that there are enough blocks for all multiprocessors.
int64_t unitRowsOn(c10::Device device) { return device.is_cuda() ? 32 : unitRows; }

Sizes sizesOf(const Tensor &x) { return {x.size(0), x.size(1), x.size(2), unitRowsOn(x.device())}; }

Vectors vectorsOf(const Tensor &t) { return t.defined() ? Vectors{input(t), t.stride(0)} : Vectors{}; }

/// Makes every sample's vector contiguous; the distance between samples does not matter.
Tensor withDenseRows(const Tensor &vectors) {
    const bool isReadable = vectors.is_cpu() || (isAligned(vectors) && vectors.stride(0) % 4 == 0);
    return vectors.stride(-1) == 1 && isReadable ? vectors : vectors.contiguous().clone();
}

/// Passes to `body`, as types, which of the two parts are present.
template <class Body> void choose(bool hasBranch, bool hasNorm, Body body) {
    if (!hasNorm) return body(std::true_type(), std::false_type());
    hasBranch ? body(std::true_type(), std::true_type()) : body(std::false_type(), std::true_type());
}

/// Runs the loop `Loop` on the CPU in `units` units, or the kernel `name` on CUDA.
template <class T, template <class, bool, bool> class Loop, class Arguments>
void start(const char *name, const Arguments &arguments, int64_t units, bool hasBranch, bool hasNorm, c10::Device device) {
    if (device.is_cuda()) {
        std::string kernel = std::string(name) + (hasBranch ? "_branch" : "") + (hasNorm ? "_norm" : "") +
                             (std::is_same_v<T, BFloat16> ? "_bf16" : "");
        int64_t threads = std::string_view(name) == "forward" ? 256 : 32 * ((arguments.sizes.width + 127) / 128);
        return cudaKernels(arguments.sizes.width).launch(kernel, arguments.sizes.units(), threads, &arguments, device);
    }
    choose(hasBranch, hasNorm, [&](auto branch, auto norm) {
        run<T>(Loop<T, branch.value, norm.value>{arguments}, units, arguments.sizes.elements());
    });
}

// ---- Forward and backward ------------------------------------------------------------------------------------------

/// The operands. `branch` and `gate`, or `scale` and `shift`, may be undefined. Vectors have dense rows.
struct Operands {
    Tensor x, branch, gate, scale, shift;
    double epsilon;
    bool isBF16;

    bool hasBranch() const { return branch.defined(); }
    bool hasNorm() const { return scale.defined(); }
};

struct Results {
    Tensor sum, normed, statistics;  // undefined if not computed

    variable_list list() const {
        variable_list all;
        for (const Tensor &t : {sum, normed})
            if (t.defined()) all.push_back(t);
        return all;
    }
};

template <class T> Results forward(const Operands &in, bool isSaving) {
    Results out;
    if (in.hasBranch()) out.sum = at::empty_like(in.x);
    if (in.hasNorm()) out.normed = at::empty(in.x.sizes(), in.x.options().dtype(in.isBF16 ? at::kBFloat16 : at::kFloat));
    if (in.hasNorm() && isSaving) out.statistics = at::empty({in.x.size(0), in.x.size(1), 2}, in.x.options());
    Sizes sizes = sizesOf(in.x);
    start<T, ResidualForward>("forward",
                              ResidualForwardArguments<T>{sizes, input(in.x), input<T>(in.branch), vectorsOf(in.gate),
                                                          vectorsOf(in.scale), vectorsOf(in.shift), (float)in.epsilon,
                                                          output(out.sum), output<T>(out.normed), output(out.statistics)},
                              sizes.samples * sizes.rows, in.hasBranch(), in.hasNorm(), in.x.device());
    return out;
}

Results forward(const Operands &in, bool isSaving) {
    return withNumber(in.isBF16, in.x, [&](auto number) { return forward<decltype(number)>(in, isSaving); });
}

/// Sums of some vectors over the rows of each sample: the sums of all units, and their totals, [vectors, B, D].
struct SampleSums {
    Tensor units, whole;

    SampleSums(int64_t vectors, const Sizes &sizes, const at::TensorOptions &options)
        : units(at::empty({vectors, sizes.samples, sizes.unitsOfSample(), sizes.width}, options)) {}

    float *of(int64_t vector) const { return output(units[vector]); }

    void add() {
        if (units.size(2) == 1) return void(whole = units.squeeze(2));
        if (units.is_cuda()) return void(whole = units.sum(2));
        whole = at::empty({units.size(0), units.size(1), units.size(3)}, units.options());
        const int64_t samples = units.size(0) * units.size(1);
        run<float>(RowSums<float>{samples * units.size(2), units.size(2), units.size(3), input(units), output(whole)}, samples,
            units.numel());
    }
};

template <class T> variable_list backward(const variable_list &saved, Tensor gradientSum, Tensor gradientNormed) {
    const Tensor &stream = saved[0], &branch = saved[1], &gate = saved[2], &scale = saved[3], &statistics = saved[4];
    const bool hasBranch = branch.defined(), hasNorm = scale.defined();
    const Tensor &shaped = hasNorm ? stream : branch;
    const at::TensorOptions options = shaped.options().dtype(at::kFloat);
    if (hasBranch) gradientSum = dense(gradientSum);
    if (hasNorm) gradientNormed = dense(gradientNormed);
    const Sizes sizes = sizesOf(shaped);
    SampleSums sums((hasBranch ? 1 : 0) + (hasNorm ? 2 : 0), sizes, options);
    const Tensor branchSums = hasBranch && shaped.is_cuda() ? at::empty({sizes.units(), sizes.width}, options) : Tensor();
    const int64_t norm = hasBranch ? 1 : 0;  // index of the norm's sums
    Tensor gradientX = !hasNorm ? gradientSum : hasBranch ? memoryLike(gradientSum) : at::empty(shaped.sizes(), options);
    Tensor gradientBranch = !hasBranch ? Tensor() : hasNorm ? memoryLike(gradientNormed) : at::empty_like(branch);
    start<T, ResidualBackward>(
        "backward",
        ResidualBackwardArguments<T>{sizes, hasNorm ? input(stream) : nullptr, input<T>(branch), vectorsOf(gate),
                                     vectorsOf(scale), input(statistics), input(gradientSum), input<T>(gradientNormed),
                                     hasNorm ? output(gradientX) : nullptr, output<T>(gradientBranch),
                                     hasBranch ? sums.of(0) : nullptr, hasNorm ? sums.of(norm) : nullptr,
                                     hasNorm ? sums.of(norm + 1) : nullptr, output(branchSums)},
        sizes.units(), hasBranch, hasNorm, shaped.device());
    sums.add();
    if (branchSums.defined()) ColumnSums::attach(gradientBranch, branchSums);
    auto gradientOf = [&](int64_t place, const Tensor &vectors) { return sums.whole[place].view(vectors.sizes()); };
    return {gradientX,
            gradientBranch,
            hasBranch ? gradientOf(0, gate) : Tensor(),
            hasNorm ? gradientOf(norm, scale) : Tensor(),
            hasNorm ? gradientOf(norm + 1, scale) : Tensor(),
            Tensor(),
            Tensor()};
}

struct Residual : torch::autograd::Function<Residual> {
    /// libtorch requires operands that may be missing to have this type.
    using Optional = std::optional<Tensor>;

    static variable_list forward(AutogradContext *context, Tensor x, Optional branch, Optional gate, Optional scale,
                                 Optional shift, double epsilon, bool isBF16) {
        auto either = [](const Optional &t) { return t.value_or(Tensor()); };
        Operands in{x, either(branch), either(gate), either(scale), either(shift), epsilon, isBF16};
        Results out = ::forward(in, true);
        const Tensor &stream = in.hasBranch() ? out.sum : x;
        context->save_for_backward({in.hasNorm() ? stream : Tensor(), in.branch, in.gate, in.scale, out.statistics});
        context->saved_data["isBF16"] = isBF16;
        return out.list();
    }

    static variable_list backward(AutogradContext *context, variable_list &outputs) {
        refuseSecondDerivative("residual stream");
        variable_list saved = context->get_saved_variables();
        Tensor gradientSum = saved[1].defined() ? std::move(outputs.front()) : Tensor();
        Tensor gradientNormed = saved[3].defined() ? std::move(outputs.back()) : Tensor();
        return withNumber(context->saved_data["isBF16"].toBool(), saved[saved[3].defined() ? 0 : 1], [&](auto number) {
            return ::backward<decltype(number)>(saved, std::move(gradientSum), std::move(gradientNormed));
        });
    }
};

}  // namespace

int32_t ct_residual(const ct_tensor *x, const ct_tensor *branch, const ct_tensor *gate, const ct_tensor *scale,
                    const ct_tensor *shift, double epsilon, bool isBF16, ct_tensor **sum, ct_tensor **normed) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::residual stream");
        auto optional = [](const ct_tensor *const &handle) { return handle ? view(handle) : Tensor(); };
        auto rows = [&](const ct_tensor *const &handle) { return handle ? withDenseRows(view(handle)) : Tensor(); };
        Operands in{dense(view(x)), optional(branch), rows(gate), rows(scale), rows(shift), epsilon, isBF16};
        if (in.hasBranch()) in.branch = dense(in.branch);
        variable_list out;
        if (isRecorded({&in.x, &in.branch, &in.gate, &in.scale, &in.shift})) {
            auto given = [](const Tensor &t) { return t.defined() ? std::optional(t) : std::nullopt; };
            out = Residual::apply(in.x, given(in.branch), given(in.gate), given(in.scale), given(in.shift), epsilon, isBF16);
        } else {
            out = forward(in, false).list();
        }
        if (in.hasBranch()) *sum = own(std::move(out.front()));
        if (in.hasNorm()) *normed = own(std::move(out.back()));
    });
}

int32_t ct_load_cuda_kernels(int32_t device) {
    return guarded([&] { cudaKernels(1).load({c10::kCUDA, (c10::DeviceIndex)device}); });
}
