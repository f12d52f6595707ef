// Sums over rows that a kernel makes of its result besides, while the numbers are in registers: what comes back at a linear layer
// has to be added up for its bias, and would be read once more for that.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/TensorImpl.h>

namespace border {

/// Goes with a tensor [..., D]. It counts only as long as nobody has written to the tensor since, as autograd does where two
/// gradients meet.
struct ColumnSums : c10::BackendMeta {
    at::Tensor units;  // [units, D], to be added up
    int64_t writes;

    ColumnSums(at::Tensor units, int64_t writes) : units(std::move(units)), writes(writes) {}

    static void attach(const at::Tensor &t, at::Tensor units) {
        t.unsafeGetTensorImpl()->set_backend_meta(c10::make_intrusive<ColumnSums>(std::move(units), t._version()));
    }

    /// The sums that go with a tensor; undefined where there are none.
    static at::Tensor of(const at::Tensor &t) {
        auto *sums = dynamic_cast<ColumnSums *>(t.unsafeGetTensorImpl()->get_backend_meta());
        return sums && sums->writes == t._version() ? sums->units : at::Tensor();
    }
};

}  // namespace border
