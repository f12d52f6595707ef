// GELU in float32 or bfloat16, on the CPU and on CUDA. Its plain counterpart is libtorch's `gelu` in its tanh form.
//
// How it is fast. GELU is x s(2u) with the sigmoid s; its exponential is a polynomial that compilers vectorise, and its
// derivative needs only s, not the tanh of the forward pass. On CUDA the backward pass also computes the sums over its rows for
// the bias before it (column-sums.h).
//
// Why it is safe. Every element is computed independently, always in the same lane of a vector (parallel.h). The loops (gelu.h)
// neither allocate nor throw. A second derivative is refused rather than wrong.
#include "border.h"
#include "column-sums.h"
#include "cuda.h"
#include "gelu-arguments.h"
#include "gelu.h"
#include "operands.h"
#include "parallel.h"
#include "recording.h"
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
using namespace border;
using namespace loops;
using namespace parallel;
using namespace recording;

namespace {

cuda::Program &cudaKernels() {
    static cuda::Program program("gelu-cuda.h");
    return program;
}

/// Fills `result`; in the backward pass also returns the sums of its units.
template <class T> Tensor runOnCUDA(const Tensor &x, const Tensor &gradient, const Tensor &result) {
    GeluArguments<T> a{x.numel() / x.size(-1), x.size(-1), 64, input<T>(x), input<T>(gradient), output<T>(result), nullptr};
    Tensor sums = gradient.defined() ? at::empty({a.units(), a.width}, x.options().dtype(at::kFloat)) : Tensor();
    a.sums = output(sums);
    std::string kernel = std::string(gradient.defined() ? "gelu_backward" : "gelu_forward") +
                         (std::is_same_v<T, BFloat16> ? "_bf16" : "");
    cudaKernels().launch(kernel, a.units() * a.blocksOfUnit(), geluThreads, &a, x.device());
    return sums;
}

template <class T> void runOnCPU(const Tensor &x, const Tensor &gradient, const Tensor &result) {
    const int64_t count = x.numel(), units = (count + unitElements - 1) / unitElements;
    if (gradient.defined())
        run<T>(GeluBackward<T>{count, input<T>(x), input<T>(gradient), output<T>(result)}, units, count);
    else
        run<T>(GeluForward<T>{count, input<T>(x), output<T>(result)}, units, count);
}

/// gelu(x), or the gradient of x for a given dense `gradient`, which may be overwritten if nothing else holds it.
Tensor pass(const Tensor &x, const Tensor &gradient = {}) {
    const Tensor result = gradient.defined() ? memoryLike(gradient) : at::empty_like(x);
    withNumber(x.scalar_type() == at::kBFloat16, x, [&](auto number) {
        using T = decltype(number);
        if (x.is_cpu()) return runOnCPU<T>(x, gradient, result);
        Tensor sums = runOnCUDA<T>(x, gradient, result);
        if (sums.defined()) ColumnSums::attach(result, sums);
    });
    return result;
}

struct Gelu : torch::autograd::Function<Gelu> {
    static Tensor forward(AutogradContext *context, Tensor x) {
        context->save_for_backward({x});
        return pass(x);
    }

    static variable_list backward(AutogradContext *context, variable_list &outputs) {
        refuseSecondDerivative("GELU");
        const Tensor gradient = dense(Tensor(std::move(outputs[0])));
        return {pass(context->get_saved_variables()[0], gradient)};
    }
};

}  // namespace

int32_t ct_gelu(const ct_tensor *x, ct_tensor **out) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::GELU");
        Tensor in = dense(view(x));
        *out = own(isRecorded({&in}) ? Gelu::apply(in) : pass(in));
    });
}
