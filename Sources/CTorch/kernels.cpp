// Kernels of the CPU for what stands between a transformer's matrix products: LayerNorm with modulation, and GELU.
// Their plain twins, composed of libtorch's operators, stand in Sources/Torch/Kernels.swift and say what is computed.
//
// What is clever. Such functions only move memory, and composed of operators they move the same numbers many times.
// Here a row is normalised, scaled and shifted while it lies in the first cache, and one reading of x and of the
// incoming gradient makes all three gradients. GELU is x s(2u) with the sigmoid s; its exponential is a polynomial
// that compilers turn into vector code, and its derivative needs s alone, not the tanh of the forward pass.
//
// Why it is safe.
// - Results do not depend on the number of threads. The work is cut into units whose borders follow from the shapes
//   alone. Threads share out whole units; a sum over rows is made inside a unit, and sums of units are added in order.
// - Threads come from GOMP_parallel, which is the pool that libtorch's own operators use: two pools would spin against
//   each other. at::parallel_for cannot do it, since compiled by a clang without OpenMP it is serial without a word.
// - The loops (loops.h) neither allocate nor throw: every array is made before they start, and inputs stay as they are.
// - A loop is compiled for three instruction sets and one is chosen when the program runs, the one that libtorch has
//   chosen for its own. Between processors the last bits of a result differ, as those of libtorch do.
// - What the backward pass reads (x, scale, mean and 1 / deviation) is saved through libtorch, which notices when
//   somebody has written to it since. Without gradients nothing is saved. A second derivative is refused, not wrong.
#include "border.h"
#include "loops.h"
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <string_view>
#include <torch/csrc/autograd/custom_function.h>
using namespace border;
using namespace loops;
using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

extern "C" void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);
extern "C" int omp_get_thread_num(void);
extern "C" int omp_get_num_threads(void);

namespace {

// ---- Units of work, threads and instruction sets -------------------------------------------------------------------

/// Fewer elements than these are done before a second thread has woken up; libtorch's operators have the same border.
constexpr int64_t serialElements = 32768;

template <class Work> struct Variants {
    [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]]
    static void avx512(const Work &work, int64_t first, int64_t end) { work(first, end); }
    [[gnu::target("avx2,fma")]]
    static void avx2(const Work &work, int64_t first, int64_t end) { work(first, end); }
    static void baseline(const Work &work, int64_t first, int64_t end) { work(first, end); }

    /// What libtorch's own kernels use, so that ATEN_CPU_CAPABILITY (avx2, default) holds for all of them.
    static auto best() {
        std::string_view capability = ct_cpu_capability();
        if (capability.starts_with("AVX512")) return avx512;
        return capability.starts_with("AVX2") ? avx2 : baseline;
    }
};

/// Does work(first, end) for all units, in as many ranges of whole units as there are threads.
template <class Work> void run(const Work &work, int64_t units, int64_t elements) {
    static const auto loop = Variants<Work>::best();
    int64_t threads = std::min<int64_t>(at::get_num_threads(), units);
    if (elements < serialElements || threads < 2 || at::in_parallel_region()) return loop(work, 0, units);
    struct Shared {
        const Work &work;
        int64_t units;
    } shared{work, units};
    auto body = [](void *data) {
        auto &[work, units] = *static_cast<Shared *>(data);
        int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
        int64_t first = units * thread / threads, end = units * (thread + 1) / threads;
        if (first < end) loop(work, first, end);
    };
    GOMP_parallel(body, &shared, (unsigned)threads, 0);
}

void refuseSecondDerivative(const char *name) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "the fused ", name, " has no second derivative; use the plain kernels");
}

const float *input(const Tensor &t) { return static_cast<const float *>(t.const_data_ptr()); }
float *output(const Tensor &t) { return static_cast<float *>(t.mutable_data_ptr()); }

// ---- LayerNorm with modulation -------------------------------------------------------------------------------------

Sizes sizesOf(const Tensor &x) { return {x.size(0), x.size(1), x.size(2)}; }
Vectors vectorsOf(const Tensor &t) { return {input(t), t.stride(0)}; }

/// Every sample's vector in one piece; how far the samples are apart does not matter.
Tensor withDenseRows(const Tensor &vectors) { return vectors.stride(-1) == 1 ? vectors : vectors.contiguous(); }

Tensor normalised(const Tensor &x, const Tensor &scale, const Tensor &shift, double epsilon, float *statistics) {
    Tensor y = at::empty_like(x);
    Tensor shifts = withDenseRows(shift);
    Sizes sizes = sizesOf(x);
    run(NormForward{sizes, input(x), vectorsOf(scale), vectorsOf(shifts), (float)epsilon, output(y), statistics},
        sizes.samples * sizes.rows, sizes.elements());
    return y;
}

struct ModulatedNorm : torch::autograd::Function<ModulatedNorm> {
    static Tensor forward(AutogradContext *context, Tensor x, Tensor scale, Tensor shift, double epsilon) {
        x = x.contiguous();
        scale = withDenseRows(scale);
        Tensor statistics = at::empty({x.size(0), x.size(1), 2}, x.options());
        context->save_for_backward({x, scale, statistics});
        return normalised(x, scale, shift, epsilon, output(statistics));
    }

    static variable_list backward(AutogradContext *context, variable_list outputs) {
        refuseSecondDerivative("modulated norm");
        variable_list saved = context->get_saved_variables();
        const Tensor &x = saved[0], &scale = saved[1], &statistics = saved[2];
        Tensor gradient = outputs[0].contiguous();
        Sizes sizes = sizesOf(x);
        int64_t units = sizes.unitsOfSample();
        Tensor gradientX = at::empty_like(x);
        Tensor gradientScale = at::empty(scale.sizes(), x.options());
        Tensor gradientShift = at::empty(scale.sizes(), x.options());
        // Where a sample is one unit, the unit's sum is the gradient.
        auto sums = [&](const Tensor &whole) {
            return units == 1 ? whole : at::empty({sizes.samples, units, sizes.width}, x.options());
        };
        Tensor sumsScale = sums(gradientScale), sumsShift = sums(gradientShift);
        run(NormBackward{sizes, input(x), input(gradient), vectorsOf(scale), input(statistics), output(gradientX),
                         output(sumsScale), output(sumsShift)},
            sizes.samples * units, sizes.elements());
        auto addUp = [&](const Tensor &from, const Tensor &to) {
            run(SumInOrder{units, sizes.width, input(from), output(to)}, sizes.samples, from.numel());
        };
        if (units > 1) {
            addUp(sumsScale, gradientScale);
            addUp(sumsShift, gradientShift);
        }
        return {gradientX, gradientScale, gradientShift, Tensor()};
    }
};

// ---- GELU ----------------------------------------------------------------------------------------------------------

int64_t geluUnits(int64_t count) { return (count + unitElements - 1) / unitElements; }

Tensor activated(const Tensor &x) {
    Tensor y = at::empty_like(x);
    run(GeluForward{x.numel(), input(x), output(y)}, geluUnits(x.numel()), x.numel());
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
        run(GeluBackward{x.numel(), input(x), input(gradient), output(gradientX)}, geluUnits(x.numel()), x.numel());
        return {gradientX};
    }
};

}  // namespace

int32_t ct_modulated_norm(const ct_tensor *x, const ct_tensor *scale, const ct_tensor *shift, double epsilon,
                          ct_tensor **out) {
    return guarded([&] {
        const Tensor &in = view(x), &scales = view(scale), &shifts = view(shift);
        bool isRecorded = c10::GradMode::is_enabled() &&
                          (in.requires_grad() || scales.requires_grad() || shifts.requires_grad());
        *out = own(isRecorded ? ModulatedNorm::apply(in, scales, shifts, epsilon)
                              : normalised(in.contiguous(), withDenseRows(scales), shifts, epsilon, nullptr));
    });
}

int32_t ct_gelu(const ct_tensor *x, ct_tensor **out) {
    return guarded([&] {
        const Tensor &in = view(x);
        bool isRecorded = c10::GradMode::is_enabled() && in.requires_grad();
        *out = own(isRecorded ? Gelu::apply(in) : activated(in.contiguous()));
    });
}
