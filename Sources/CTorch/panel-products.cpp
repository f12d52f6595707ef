// Large matrix products on the CPU, in float32 or bfloat16 with float32 sums: the forward and backward products of a linear
// layer. Their plain counterparts are libtorch's `linear` and its gradients.
//
// How it is fast. Products of blocks in the cache (block-product.cpp) run at the processor's highest rate; the rest is waiting for
// memory. One operand is read in panels of 48 columns, packed where it must be, and a thread keeps the same rows of the other
// one for all panels. While it multiplies, it fetches what the next product reads. Sums are rounded and get their bias in
// registers. Sums over rows need no transposition; the bias's gradient is summed while its columns are in the cache.
//
// Why it is safe. Each number of a result is computed by one thread, in an order that follows from shapes alone. All arrays are
// allocated before the loops start, which neither throw nor allocate.
#include "panel-products.h"
#include "block-products.h"
#include "panels.h"
using at::Tensor;
using namespace loops;
using namespace parallel;

namespace {

/// B [k, n] from its rows, or from its columns [n, k], packed into `memory` unless it can stay as it is.
template <class T> Panels<const T> panels(const Tensor &from, bool isOfColumns, bool isWeight, Tensor &memory) {
    const int64_t k = from.size(isOfColumns ? 1 : 0), n = from.size(isOfColumns ? 0 : 1);
    if (!isOfColumns && canStay<T>(n, isWeight)) return {input<T>(from), k, n, n};
    memory = at::empty({k * n}, from.options());
    auto pack = [&](auto loop) { run<T>(loop, loop.units(), from.numel()); };
    const Panels<T> to{output<T>(memory), k, n};
    isOfColumns ? pack(PackColumns<T>{input<T>(from), to}) : pack(PackRows<T>{input<T>(from), to});
    return {to.data, k, n};
}

/// The cost of a product for `run`, as the number of elements of a pass that takes about as long.
int64_t elements(int64_t rows, const Tensor &weight) { return rows * weight.numel() / 64; }

template <class T>
Tensor ofRows(const Tensor &a, const Tensor &weight, bool isOfColumns, const std::optional<Tensor> &bias) {
    Tensor memory, result = at::empty({a.size(0), weight.size(isOfColumns ? 0 : 1)}, a.options());
    ProductOfRows<T> work{.a = input<T>(a), .rows = a.size(0), .b = panels<T>(weight, isOfColumns, true, memory),
                          .bias = bias ? input<T>(*bias) : nullptr, .to = output<T>(result)};
    runWithSpace<T>(work, work.spaceBytes, work.units(), elements(work.rows, weight));
    return result;
}

template <class T> Tensor forward(const Tensor &x, const Tensor &weight, const std::optional<Tensor> &bias) {
    if (x.size(0) > ProductOfFewRows<T>::mostRows) return ofRows<T>(x, weight, true, bias);
    Tensor result = at::empty({x.size(0), weight.size(0)}, x.options());
    ProductOfFewRows<T> work{.x = input<T>(x), .weight = input<T>(weight), .bias = bias ? input<T>(*bias) : nullptr,
                             .rows = x.size(0), .k = x.size(1), .outputs = weight.size(0), .to = output<T>(result)};
    typename ProductOfFewRows<T>::Space space;
    runWithSpace<T>(work, work.layOut(space, nullptr), work.units(), elements(work.rows, weight));
    return result;
}

template <class T> panelProducts::Gradients overRows(const Tensor &gradient, const Tensor &x) {
    const at::TensorOptions options = x.options().dtype(at::kFloat);
    Tensor memory, weight = at::empty({gradient.size(1), x.size(1)}, options), bias = at::empty({gradient.size(1)}, options);
    ProductOverRows<T> work{.a = input<T>(gradient), .m = gradient.size(1), .b = panels<T>(x, false, false, memory),
                            .to = output(weight), .columnSums = output(bias)};
    typename ProductOverRows<T>::Space space;
    runWithSpace<T>(work, space.layOut(nullptr), work.units(), elements(x.size(0), weight));
    return {weight, bias};
}

}  // namespace

bool panelProducts::know(const Tensor &x, const Tensor &weight) {
    // Processors multiply 16-bit numbers in pairs.
    const bool isPaired = x.scalar_type() == at::kFloat || (weight.size(0) % 2 == 0 && weight.size(1) % 2 == 0);
    return x.size(0) >= 16 && x.numel() > 0 && weight.numel() > 0 && isPaired && hasBlockProducts(x);
}

bool panelProducts::knowGradient(const Tensor &x, const Tensor &weight) {
    return know(x, weight) && (x.scalar_type() == at::kFloat || x.size(0) % 2 == 0);
}

Tensor panelProducts::forward(const Tensor &x, const Tensor &weight, const std::optional<Tensor> &bias) {
    return x.scalar_type() == at::kFloat ? ::forward<float>(x, weight, bias) : ::forward<HardwareBFloat16>(x, weight, bias);
}

Tensor panelProducts::gradientX(const Tensor &gradient, const Tensor &weight) {
    return gradient.scalar_type() == at::kFloat ? ofRows<float>(gradient, weight, false, std::nullopt)
                                                : ofRows<HardwareBFloat16>(gradient, weight, false, std::nullopt);
}

panelProducts::Gradients panelProducts::gradients(const Tensor &gradient, const Tensor &x) {
    return x.scalar_type() == at::kFloat ? overRows<float>(gradient, x) : overRows<HardwareBFloat16>(gradient, x);
}
