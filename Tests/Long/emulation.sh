#!/usr/bin/env bash
# Runs the CUDA kernels on the CPU under g++'s sanitizers, without a GPU. That of threads finds what threads of a block share
# without a barrier between, that of addresses wrong sizes and places in shared memory and in arrays; its warning that it knows
# little of swapcontext does no harm. Results are compared by `make test`; here they need only be numbers. BFloat16 a minute.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/main.cpp" <<'END'
#include "emulation.h"
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

using Numbers = std::vector<float>;

Numbers draw(long long count) {
    static std::mt19937 random;
    std::normal_distribution<float> normal;
    Numbers numbers(count);
    for (float &number : numbers) number = normal(random);
    return numbers;
}

void check(const char *kernels, const char *problem, const std::vector<Numbers> &results) {
    for (const Numbers &numbers : results)
        for (float number : numbers)
            if (!problem && !std::isfinite(number)) problem = "not a number";
    printf("%s: %s\n", kernels, problem ? problem : "ok");
    if (problem) exit(1);
}

void residual(long long samples, long long rows, long long width, bool isBF16, bool hasBranch, bool hasNorm) {
    const long long all = samples * rows * width, vectors = samples * width;
    const Numbers x = draw(all), branch = draw(all), gate = draw(vectors), scale = draw(vectors), shift = draw(vectors);
    std::vector<Numbers> y;
    for (long long count : {all, all, all, all, vectors, vectors, vectors, vectors}) y.emplace_back(count, NAN);
    if (!hasBranch) for (int i : {0, 3, 4, 7}) y[i].clear();
    if (!hasNorm) for (int i : {1, 2, 5, 6}) y[i].clear();
    const auto result = [&](int i) { return y[i].empty() ? nullptr : y[i].data(); };
    const auto ofBranch = [&](const Numbers &numbers) { return hasBranch ? numbers.data() : nullptr; };
    const auto ofNorm = [&](const Numbers &numbers) { return hasNorm ? numbers.data() : nullptr; };
    emulated_residual a{samples, rows, width, isBF16, 1e-3f, x.data(), ofBranch(branch), ofBranch(gate), ofNorm(scale),
                        ofNorm(shift), ofBranch(x), ofNorm(branch), result(0), result(1), result(2), result(3), result(4),
                        result(5), result(6), result(7)};
    check("residual", emulate_residual(&a), y);
}

void gelu(long long rows, long long width, bool isBF16) {
    const Numbers x = draw(rows * width), gradient = draw(rows * width);
    std::vector<Numbers> y{Numbers(rows * width, NAN), Numbers(rows * width, NAN), Numbers(width, NAN)};
    emulated_gelu a{rows, width, isBF16, x.data(), gradient.data(), y[0].data(), y[1].data(), y[2].data()};
    check("GELU", emulate_gelu(&a), y);
}

void attention(long long samples, long long heads, long long tokens, long long width) {
    const long long count = samples * heads * tokens * width;
    const Numbers packed = draw(3 * count), gradient = draw(count);
    std::vector<Numbers> y{Numbers(count, NAN), Numbers(3 * count, NAN), Numbers(3 * count / tokens, NAN)};
    emulated_attention a{samples, heads, tokens, width, packed.data(), gradient.data(), y[0].data(), y[1].data(), y[2].data()};
    check("attention", emulate_attention(&a), y);
}

int main() {
    for (bool isBF16 : {false, true}) {
        for (auto [hasBranch, hasNorm] : {std::pair(true, false), {false, true}, {true, true}}) {
            residual(1, 70, 132, isBF16, hasBranch, hasNorm);
            residual(2, 17, 256, isBF16, hasBranch, hasNorm);
        }
        gelu(70, 16, isBF16);
        gelu(3, 520, isBF16);
    }
    for (long long width : {64, 72}) {
        for (long long tokens : {32, 96, 256}) attention(1, 1, tokens, width);
        attention(2, 2, 32, width);
    }
}
END
for sanitizer in thread address,undefined; do
    g++ -std=c++20 -O1 -g -pthread -fsanitize=$sanitizer -fno-sanitize-recover=all -Wno-unknown-pragmas \
        -ITests/CUDAEmulation/include "$folder/main.cpp" Tests/CUDAEmulation/*.cpp -o "$folder/kernels"
    "$folder/kernels"
    echo "ok: no complaint of -fsanitize=$sanitizer"
done
