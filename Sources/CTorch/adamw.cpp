// AdamW with the moving average of parameters, and the norm of gradients, in float32 on the CPU. Their plain counterparts are
// libtorch's operators on lists of tensors (Torch/AdamW.swift).
//
// How it is fast. One pass over memory updates moments, parameters and averages, and scales the gradients for clipping; threads
// are started once, not for each parameter, which matters for small networks.
//
// Why it is safe. Each number is computed independently, and sums are added in the order of the parameters (parallel.h), so
// results do not depend on the number of threads. Writes are counted, so that libtorch and caches of rounded weights notice them.
#include "adamw.h"
#include "border.h"
#include "parallel.h"
#include <ATen/record_function.h>
#include <algorithm>
#include <numeric>
#include <vector>
using namespace border;
using namespace loops;
using namespace parallel;

namespace {

/// The numbers of a part: few enough to distribute them evenly, enough for a vector loop.
constexpr int64_t mostOfPart = 8192;

/// The elements of an entry of a list; null if there is no entry.
float *numbers(ct_tensor *const *tensors, int32_t index, int64_t count) {
    if (!tensors || !tensors[index]) return nullptr;
    const at::Tensor &t = view(tensors[index]);
    TORCH_CHECK(t.numel() == count, "a parameter of ", count, " numbers has a gradient, moment or average of ", t.numel());
    return output(t);
}

/// Divides parameters into parts. A part of a list that is null, or has no tensor there, is null.
std::vector<ParameterPart> partsOf(int32_t count, ct_tensor *const *values, ct_tensor *const *gradients,
                                   ct_tensor *const *first, ct_tensor *const *second, ct_tensor *const *averages) {
    std::vector<ParameterPart> parts;
    for (int32_t i = 0; i < count; i++) {
        const int64_t whole = view(values[i]).numel();
        auto find = [&](ct_tensor *const *tensors) { return numbers(tensors, i, whole); };
        const ParameterPart all{find(values), find(gradients), find(first), find(second), find(averages), whole};
        for (int64_t start = 0; start < whole; start += mostOfPart) {
            auto from = [&](auto *array) { return array ? array + start : nullptr; };
            parts.push_back({from(all.value), from(all.gradient), from(all.first), from(all.second), from(all.average),
                             std::min(mostOfPart, whole - start)});
        }
    }
    return parts;
}

int64_t elements(const std::vector<ParameterPart> &parts) { return (int64_t)parts.size() * mostOfPart; }

}  // namespace

bool ct_are_dense(ct_tensor *const *tensors, int32_t count) {
    return std::all_of(tensors, tensors + count, [](const ct_tensor *tensor) {
        if (!tensor) return true;
        const at::Tensor &t = view(tensor);
        return t.is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous();
    });
}

int32_t ct_adamw(const ct_adamw_step *step, int32_t count, ct_tensor *const *values, ct_tensor *const *gradients,
                 ct_tensor *const *first, ct_tensor *const *second, ct_tensor *const *averages) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::AdamW");
        const auto parts = partsOf(count, values, gradients, first, second, averages);
        auto correction = [&](double beta) { return 1 - std::pow(beta, (double)step->step); };
        const AdamWStep work{
            .parts = parts.data(),
            .decay = (float)(1 - step->learning_rate * step->weight_decay),
            .size = (float)(step->learning_rate / correction(step->beta1)),
            .rootFactor = (float)(1 / std::sqrt(correction(step->beta2))),
            .beta2 = (float)step->beta2, .epsilon = (float)step->epsilon, .gradientFactor = (float)step->gradient_factor,
            .firstShare = (float)(1 - step->beta1), .secondShare = (float)(1 - step->beta2),
            .averageShare = (float)(1 - step->average_decay)};
        run<float>(work, (int64_t)parts.size(), elements(parts));
        for (ct_tensor *const *written : {values, averages})
            for (int32_t i = 0; i < count; i++)
                if (written[i]) ct_count_write(written[i]);
    });
}

int32_t ct_norm(ct_tensor *const *tensors, int32_t count, double *out) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::norm");
        const auto parts = partsOf(count, tensors, tensors, nullptr, nullptr, nullptr);
        std::vector<float> sums(parts.size());
        run<float>(SquareSums{parts.data(), sums.data()}, (int64_t)parts.size(), elements(parts));
        *out = std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
    });
}
