// Units of work of the CPU kernels, distributed over libtorch's threads, using the widest instructions of the processor.
//
// - Results do not depend on the number of threads: the bounds of units follow from shapes alone, and each unit is processed by
//   one thread.
// - Threads come from GOMP_parallel, the pool that libtorch's own operators use: two pools would spin against each other.
//   at::parallel_for cannot be used, since compiled by a clang without OpenMP it is silently serial.
// - A loop is compiled for three instruction sets; the one that libtorch uses for its own kernels is chosen at run time. Between
//   processors the last bits of a result differ, as libtorch's do. Loops over `HardwareBFloat16` are compiled only for processors
//   that have it, and run on no others.
#pragma once
#include "ctorch.h"
#include "hardware-bfloat16.h"
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <string_view>

extern "C" void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);
extern "C" int omp_get_thread_num(void);
extern "C" int omp_get_num_threads(void);

namespace parallel {

/// The data of a tensor, for loops to read or to fill; null if there is none.
template <class T = float> const T *input(const at::Tensor &t) {
    return t.defined() ? static_cast<const T *>(t.const_data_ptr()) : nullptr;
}
template <class T = float> T *output(const at::Tensor &t) {
    return t.defined() ? static_cast<T *>(t.mutable_data_ptr()) : nullptr;
}

/// Fewer elements than this are done before a second thread wakes up; libtorch's operators use the same limit.
constexpr int64_t serialElements = 32768;

template <class Work, class Number> struct Variants {
    [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]]
    static void hardwareBFloat16(const Work &work, int64_t first, int64_t end) { work(first, end); }
    [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]]
    static void avx512(const Work &work, int64_t first, int64_t end) { work(first, end); }
    [[gnu::target("avx2,fma")]]
    static void avx2(const Work &work, int64_t first, int64_t end) { work(first, end); }
    static void baseline(const Work &work, int64_t first, int64_t end) { work(first, end); }

    /// The instruction set of libtorch's own kernels, so that ATEN_CPU_CAPABILITY (avx2, default) applies to all.
    static auto best() {
        if constexpr (std::is_same_v<Number, loops::HardwareBFloat16>) return hardwareBFloat16;
        else return widest();
    }

    static auto widest() {
        std::string_view capability = ct_cpu_capability();
        if (capability.starts_with("AVX512")) return avx512;
        return capability.starts_with("AVX2") ? avx2 : baseline;
    }
};

/// Calls work(first, end) for all units, in as many ranges of whole units as there are threads. The work neither throws nor
/// allocates. `Number` is the type that it rounds to.
template <class Number, class Work> void run(const Work &work, int64_t units, int64_t elements) {
    static const auto loop = Variants<Work, Number>::best();
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

/// Calls `body` with a number of the type that loops and kernels process on the device of `t`.
template <class Body> auto withNumber(bool isBF16, const at::Tensor &t, Body body) {
    if (!isBF16) return body(float());
    return t.is_cpu() && loops::hasHardwareBFloat16() ? body(loops::HardwareBFloat16()) : body(loops::BFloat16());
}

}  // namespace parallel
