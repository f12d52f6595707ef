// Block products in loops: which processors have them, and their workspace.
#pragma once
#include "block-product.h"
#include "parallel.h"
#include <ATen/ops/empty.h>
#include <cpuid.h>

namespace parallel {

/// Whether the processor multiplies bfloat16 in tiles (AMX), much faster than in vectors. libtorch uses them.
inline bool hasMatrixTiles() {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx & bit_AMXBF16);
}

/// Whether the loops multiply numbers of this tensor's type on its device, and faster than libtorch.
inline bool hasBlockProducts(const at::Tensor &t) {
    static const bool isVector = std::string_view(ct_cpu_capability()).starts_with("AVX");  // AVX2 or AVX512
    static const bool isForBFloat16 = loops::hasHardwareBFloat16() && !hasMatrixTiles();
    return t.is_cpu() && (t.scalar_type() == at::kFloat ? isVector : t.scalar_type() == at::kBFloat16 && isForBFloat16);
}

/// Distance between the workspaces of two threads: closer together, the processor would prefetch for one thread cache lines that
/// the other is writing.
constexpr int64_t gapBytes = 1 << 20;

/// `run` for work that needs a `space` of so many bytes per thread.
template <class T, class Work> void runWithSpace(Work work, int64_t spaceBytes, int64_t units, int64_t elements) {
    const int64_t distance = spaceBytes + gapBytes;
    const at::Tensor memory = at::empty({at::get_num_threads() * distance + 64}, at::kByte);
    const auto address = reinterpret_cast<uintptr_t>(memory.mutable_data_ptr());
    work.space = {reinterpret_cast<char *>((address + 63) / 64 * 64), distance, omp_get_thread_num};
    run<T>(work, units, elements);
}

}  // namespace parallel
