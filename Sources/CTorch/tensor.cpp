// Handles: creating, reading and releasing them.
#include "border.h"
#include <ATen/ops/from_blob.h>

namespace border {
thread_local std::string message;
std::atomic<int64_t> liveHandles{0};
}  // namespace border
using namespace border;

const char *ct_error(void) { return message.c_str(); }

ct_tensor *ct_share(const ct_tensor *tensor) { return own(at::Tensor(view(tensor))); }

void ct_release(ct_tensor *tensor) {
    if (!tensor) return;
    liveHandles.fetch_sub(1, std::memory_order_relaxed);
    c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim(
        reinterpret_cast<c10::TensorImpl *>(tensor));
}

int64_t ct_live_handles(void) { return liveHandles.load(std::memory_order_relaxed); }

int32_t ct_type(const ct_tensor *tensor) { return (int32_t)view(tensor).scalar_type(); }
int32_t ct_rank(const ct_tensor *tensor) { return (int32_t)view(tensor).dim(); }
int64_t ct_writes(const ct_tensor *tensor) { return view(tensor)._version(); }
void ct_count_write(const ct_tensor *tensor) { view(tensor).unsafeGetTensorImpl()->bump_version(); }
int64_t ct_size(const ct_tensor *tensor, int32_t axis) { return view(tensor).sizes()[(size_t)axis]; }

void ct_device(const ct_tensor *tensor, int32_t *kind, int32_t *index) {
    c10::Device device = view(tensor).device();
    *kind = device.is_cpu() ? 0 : device.is_cuda() ? 1 : 2;
    *index = device.index();
}

void *ct_data(const ct_tensor *tensor) {
    const at::Tensor &t = view(tensor);
    return t.device().is_cpu() ? t.data_ptr() : nullptr;
}

int32_t ct_from_memory(void *data, const int64_t *shape, int32_t rank, int32_t type, void (*release)(void *),
                       void *context, ct_tensor **out) {
    return guarded([&] {
        auto options = at::TensorOptions().dtype((c10::ScalarType)type);
        *out = own(at::from_blob(
            data, c10::IntArrayRef(shape, (size_t)rank), [=](void *) { release(context); }, options));
    });
}
