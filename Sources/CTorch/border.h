// Shared by all files of the border to libtorch: handles as tensors, exceptions as status codes.
#pragma once
#include "ctorch.h"
#include <ATen/core/Tensor.h>
#include <atomic>
#include <exception>
#include <string>

namespace border {
extern thread_local std::string message;
extern std::atomic<int64_t> liveHandles;

/// A handle is the TensorImpl itself with one reference counted for it. at::Tensor is exactly one such pointer,
/// so a handle can be read as a tensor without touching the count.
inline const at::Tensor &view(const ct_tensor *const &handle) {
    static_assert(sizeof(at::Tensor) == sizeof(void *));
    return reinterpret_cast<const at::Tensor &>(handle);
}

inline ct_tensor *own(at::Tensor &&tensor) {
    liveHandles.fetch_add(1, std::memory_order_relaxed);
    return reinterpret_cast<ct_tensor *>(tensor.unsafeReleaseTensorImpl());
}

template <class Body> int32_t guarded(Body &&body) noexcept {
    try {
        body();
        return 0;
    } catch (const c10::Error &error) {
        message = error.what_without_backtrace();
        return 1;
    } catch (const std::bad_alloc &) {
        message = "out of memory";
        return 2;
    } catch (const std::exception &error) {
        message = error.what();
        return 3;
    } catch (...) {
        message = "unknown C++ exception";
        return 4;
    }
}
}  // namespace border
