// Column sums that a kernel computes along with its result, while the numbers are in registers: a linear layer has to sum its
// incoming gradient for the bias, and would otherwise read it once more for that.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/TensorImpl.h>

namespace border {

/// Column sums attached to a tensor [..., D]. They are valid only until the tensor is written to, as autograd does where two
/// gradients are accumulated.
struct ColumnSums : c10::BackendMeta {
    at::Tensor units;  // [units, D], still to be summed
    int64_t writes;

    ColumnSums(at::Tensor units, int64_t writes) : units(std::move(units)), writes(writes) {}

    static void attach(const at::Tensor &t, at::Tensor units) {
        t.unsafeGetTensorImpl()->set_backend_meta(c10::make_intrusive<ColumnSums>(std::move(units), t._version()));
    }

    /// The sums attached to a tensor; undefined if there are none.
    static at::Tensor of(const at::Tensor &t) {
        auto *sums = dynamic_cast<ColumnSums *>(t.unsafeGetTensorImpl()->get_backend_meta());
        return sums && sums->writes == t._version() ? sums->units : at::Tensor();
    }
};

}  // namespace border
