// The backward pass. libtorch records and differentiates; none of that is duplicated here.
#include "border.h"
#include <c10/core/GradMode.h>
using namespace border;

bool ct_gradients_enabled(void) { return c10::GradMode::is_enabled(); }
void ct_enable_gradients(bool on) { c10::GradMode::set_enabled(on); }

int32_t ct_require_gradient(const ct_tensor *tensor, bool on) {
    return guarded([&] { view(tensor).set_requires_grad(on); });
}

int32_t ct_backward(const ct_tensor *loss) {
    return guarded([&] { view(loss).backward(); });
}

int32_t ct_gradient(const ct_tensor *tensor, ct_tensor **out) {
    return guarded([&] {
        at::Tensor gradient = view(tensor).grad();
        *out = gradient.defined() ? own(std::move(gradient)) : nullptr;
    });
}

int32_t ct_set_gradient(const ct_tensor *tensor, const ct_tensor *gradient) {
    return guarded([&] { view(tensor).mutable_grad() = gradient ? view(gradient) : at::Tensor(); });
}
