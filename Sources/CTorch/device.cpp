// Threads, CUDA at run time, and the library's version and location.
#include "border.h"
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>
#include <malloc.h>
#include <torch/headeronly/version.h>
using namespace border;

int32_t ct_threads(void) { return at::get_num_threads(); }

int32_t ct_set_threads(int32_t count) {
    return guarded([&] { at::set_num_threads(count); });
}

void ct_keep_freed_memory(void) {
    // Mapped memory is returned to the system when it is freed, and the system zeroes it at the next allocation: at a batch of 64
    // that took a third of a step. A threshold would not help: glibc accepts none above 32 MiB.
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
}

int32_t ct_open_cuda(const char *path) {
    // RTLD_GLOBAL: its static constructors register the CUDA kernels with the dispatcher that is already loaded.
    return guarded([&] {
        TORCH_CHECK(dlopen(path, RTLD_NOW | RTLD_GLOBAL) != nullptr, dlerror());
        // float32 is float32: TF32, which convolutions would use by default, has a 10-bit mantissa.
        at::globalContext().setAllowTF32CuBLAS(false);
        at::globalContext().setAllowTF32CuDNN(false);
    });
}

int32_t ct_cuda_devices(void) {
    int32_t count = 0;
    guarded([&] {
        if (at::globalContext().hasCUDA()) count = c10::impl::getDeviceGuardImpl(c10::DeviceType::CUDA)->deviceCount();
    });
    return count;
}

int32_t ct_synchronize(int32_t index) {
    return guarded([&] {
        c10::impl::getDeviceGuardImpl(c10::DeviceType::CUDA)->synchronizeDevice((c10::DeviceIndex)index);
    });
}

int32_t ct_choose_attention(bool by_cudnn) {
    static std::atomic<int> chosen = -1;
    if (chosen.exchange(by_cudnn) == by_cudnn) return 0;
    return guarded([&] {
        using enum at::SDPBackend;
        std::vector<int64_t> order;
        for (auto backend : {by_cudnn ? cudnn_attention : flash_attention, by_cudnn ? flash_attention : cudnn_attention,
                             efficient_attention, math, overrideable})
            order.push_back((int64_t)backend);
        at::globalContext().setSDPPriorityOrder(order);
    });
}

int32_t ct_cuda_peak_bytes(int32_t index, int64_t *out) {
    return guarded([&] {
        const auto stats = c10::getDeviceAllocator(c10::kCUDA)->getDeviceStats((c10::DeviceIndex)index);
        *out = stats.allocated_bytes[(size_t)c10::CachingAllocator::StatType::AGGREGATE].peak;
    });
}

const char *ct_version(void) { return TORCH_VERSION; }

const char *ct_cpu_capability(void) {
    static const std::string name = at::get_cpu_capability();
    return name.c_str();
}

const char *ct_library_path(void) {
    static const std::string path = [] {
        Dl_info information{};
        return dladdr((void *)&at::get_num_threads, &information) ? information.dli_fname : "";
    }();
    return path.c_str();
}
