#include "emulation.h"
#include "emulated-cuda.h"

#define PIECES 2  // widths up to 256

namespace {
float exponential(float x) { return std::exp(x); }
float reciprocal(float x) { return 1 / x; }
using std::min;
}  // namespace

#include "../../Sources/CTorch/gelu-cuda.h"
#include "../../Sources/CTorch/residual-cuda.h"

namespace {
using namespace emulated;
using namespace loops;

template <class T>
void emulate(const emulated_residual &a, void (*forward)(ResidualForwardArguments<T>),
             void (*backward)(ResidualBackwardArguments<T>)) {
    const Sizes sizes{a.samples, a.rows, a.width, 32};
    const long long count = sizes.elements(), width = a.width;
    Operand<T> branch(a.branch, count), normed(a.normed, count), gradientNormed(a.gradientNormed, count),
        gradientBranch(a.gradientBranch, count);
    std::vector<float> statistics(2 * sizes.samples * sizes.rows), sums(4 * sizes.units() * width);
    const Vectors gate{a.gate, width}, scale{a.scale, width}, shift{a.shift, width};
    launch(forward,
           ResidualForwardArguments<T>{sizes, a.x, branch.data(), gate, scale, shift, a.epsilon, a.sum, normed.data(),
                                       statistics.data()},
           sizes.units(), 256);
    float *unitSums[4];
    for (int i = 0; i < 4; i++) unitSums[i] = sums.data() + i * sizes.units() * width;
    launch(backward,
           ResidualBackwardArguments<T>{sizes, a.branch ? a.sum : a.x, branch.data(), gate, scale, statistics.data(),
                                        a.gradientSum, gradientNormed.data(), a.gradientX, gradientBranch.data(), unitSums[0],
                                        unitSums[1], unitSums[2], unitSums[3]},
           sizes.units(), 32 * PIECES);
    normed.write(a.normed);
    gradientBranch.write(a.gradientBranch);
    float *gradients[] = {a.gradientGate, a.gradientScale, a.gradientShift, a.gradientBranchSums};
    for (int i = 0; i < 4; i++) {
        if (!gradients[i]) continue;
        std::fill_n(gradients[i], a.samples * width, 0.f);
        for (long long unit = 0; unit < sizes.units(); unit++)
            for (long long j = 0; j < width; j++)
                gradients[i][unit / sizes.unitsOfSample() * width + j] += unitSums[i][unit * width + j];
    }
}
}  // namespace

const char *emulate_residual(const emulated_residual *a) {
    return problem([&] {
        if (a->isBF16) {
            if (!a->scale) return emulate<BFloat16>(*a, forward_branch_bf16, backward_branch_bf16);
            if (!a->branch) return emulate<BFloat16>(*a, forward_norm_bf16, backward_norm_bf16);
            return emulate<BFloat16>(*a, forward_branch_norm_bf16, backward_branch_norm_bf16);
        }
        if (!a->scale) return emulate<float>(*a, forward_branch, backward_branch);
        if (!a->branch) return emulate<float>(*a, forward_norm, backward_norm);
        return emulate<float>(*a, forward_branch_norm, backward_branch_norm);
    });
}

namespace {
template <class T>
void emulate(const emulated_gelu &a, void (*forward)(GeluArguments<T>), void (*backward)(GeluArguments<T>)) {
    const long long count = a.rows * a.width;
    Operand<T> x(a.x, count), gradient(a.gradient, count), y(a.y, count), gradientX(a.gradientX, count);
    GeluArguments<T> arguments{a.rows, a.width, 64, x.data(), nullptr, y.data(), nullptr};
    const long long blocks = arguments.units() * arguments.blocksOfUnit();
    launch(forward, arguments, blocks, geluThreads);
    y.write(a.y);
    std::vector<float> sums(arguments.units() * a.width);
    arguments.gradient = gradient.data(), arguments.result = gradientX.data(), arguments.sums = sums.data();
    launch(backward, arguments, blocks, geluThreads);
    gradientX.write(a.gradientX);
    std::fill_n(a.sums, a.width, 0.f);
    for (size_t i = 0; i < sums.size(); i++) a.sums[i % a.width] += sums[i];
}
}  // namespace

const char *emulate_gelu(const emulated_gelu *a) {
    return problem([&] {
        if (a->isBF16) return emulate<BFloat16>(*a, gelu_forward_bf16, gelu_backward_bf16);
        return emulate<float>(*a, gelu_forward, gelu_backward);
    });
}
