// GELU of the CPU in float32 or bfloat16. Its plain twin is libtorch's `gelu` in its tanh form.
//
// What is clever. GELU is x s(2u) with the sigmoid s; its exponential is a polynomial that compilers turn into vector code, and
// its derivative needs s alone, not the tanh of the forward pass.
//
// Why it is safe. Every element is computed alone, in the same lane of a vector always (parallel.h). The loops (loops.h)
// neither allocate nor throw. A second derivative is refused, not wrong.
#include "border.h"
#include "loops.h"
#include "parallel.h"
#include "recording.h"
#include <ATen/ops/empty_like.h>
using namespace border;
using namespace loops;
using namespace parallel;
using namespace recording;

namespace {

bool isHalf(const Tensor &t) { return t.scalar_type() == at::kBFloat16; }

/// Calls `body` with a number of the tensor's type, float or Half.
template <class Body> auto dispatch(const Tensor &t, Body body) { return isHalf(t) ? body(Half()) : body(float()); }

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

int32_t ct_gelu(const ct_tensor *x, ct_tensor **out) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::GELU");
        const Tensor &in = view(x);
        *out = own(isRecorded({&in}) ? Gelu::apply(in) : activated(in.contiguous()));
    });
}
