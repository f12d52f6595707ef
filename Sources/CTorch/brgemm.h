// oneDNN's block products (brgemm) for loops: compiled for a block size on first use, and run by one thread.
#pragma once
#include "block-product.h"
#include "parallel.h"
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>

namespace parallel {

/// Whether the loops can multiply numbers of this tensor's type on its device.
inline bool hasBlockProducts(const at::Tensor &t) {
    static const bool isWide = std::string_view(ct_cpu_capability()).starts_with("AVX512");
    const auto type = t.scalar_type();
    return t.is_cpu() && (type == at::kFloat ? isWide : type == at::kBFloat16 && loops::hasHardwareBFloat16());
}

/// Keeps the first exception thrown by a product in any thread.
struct Failure {
    std::atomic_flag isThere;
    std::exception_ptr exception;
};

template <class T>
void multiply(void *failure, const loops::BlockSizes &s, bool isSum, const T *a, const T *b, float *c) {
    using Element = std::conditional_t<std::is_same_v<T, float>, float, at::BFloat16>;
    try {
        at::native::cpublas::brgemm(s.m, s.n, s.k, s.strideA, s.strideB, s.strideC, isSum, reinterpret_cast<const Element *>(a),
                                    reinterpret_cast<const Element *>(b), c, loops::pairing<T> == 2);
    } catch (...) {
        auto &first = *static_cast<Failure *>(failure);
        if (!first.isThere.test_and_set()) first.exception = std::current_exception();
    }
}

/// Distance between the workspaces of two threads: closer together, the processor would prefetch for one thread cache lines that
/// the other is writing.
constexpr int64_t gapBytes = 1 << 20;

/// `run` for work that needs a `product` and a `space` of so many bytes per thread. An exception thrown by a product is rethrown
/// once all threads are done.
template <class T, class Work> void runWithProducts(Work work, int64_t spaceBytes, int64_t units, int64_t elements) {
    const int64_t distance = spaceBytes + gapBytes;
    const at::Tensor memory = at::empty({at::get_num_threads() * distance + 64}, at::kByte);
    const auto address = reinterpret_cast<uintptr_t>(memory.mutable_data_ptr());
    Failure failure;
    work.product = {multiply<T>, [] { at::native::cpublas::brgemm_release(loops::pairing<T> == 2); }, &failure};
    work.space = {reinterpret_cast<char *>((address + 63) / 64 * 64), distance, omp_get_thread_num};
    run<T>(work, units, elements);
    if (failure.exception) std::rethrow_exception(failure.exception);
}

}  // namespace parallel
