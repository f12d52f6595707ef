// Runs the kernels of attention-cuda.h on the CPU, a system thread for each of a block's threads, and compares them with float64.
//
//     clang++ -DALONE -std=c++20 -O1 -pthread Tests/CUDAEmulation/attention-emulation.cpp -o /tmp/attention
//     /tmp/attention [N D]
//
// With -fsanitize=thread a missing barrier of the block is found, with -fsanitize=address a wrong size of shared memory.
//
// The instructions of a warp exchange what the lanes hold, in the layouts that the PTX ISA gives them. Besides, it is checked
// that all lanes are at the same instruction and that the rows of a matrix begin inside shared memory, at multiples of 16 bytes
// and in different banks; and copies arrive only when they are waited for.
#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

// The words of CUDA C++ that the kernels use. Blocks run one after another.
#define __device__
#define __global__
#define __launch_bounds__(...)

#include "../../Sources/CTorch/attention-arguments.h"

namespace {
using loops::Half;

struct Index {
    unsigned x;
};
thread_local Index threadIdx, blockIdx, blockDim;

[[noreturn]] void fail(const char *reason) {
    printf("block %u, thread %u: %s\n", blockIdx.x, threadIdx.x, reason);
    fflush(stdout);
    _Exit(1);
}

/// What a lane brings to an instruction of its warp.
struct Held {
    int instruction;
    const Half *row = nullptr;
    unsigned words[6] = {};
    float number = 0;
};

struct Warp {
    std::barrier<> barrier{32};
    Held held[2][32];
};

/// What the threads of the running block share.
struct Block {
    Block(unsigned threads, long long bytes)
        : all(threads), warps(threads / 32), memory(static_cast<Half *>(std::aligned_alloc(128, (size_t)bytes))), bytes(bytes) {
        std::memset(memory, 0xFF, (size_t)bytes);  // not a number
    }
    ~Block() { std::free(memory); }
    std::barrier<> all;
    std::vector<Warp> warps;
    Half *memory;
    long long bytes;
};
Block *block;

/// What all lanes of the warp hold. There are two places, taken in turn: who writes to one again has met all others since they
/// have read it.
const Held *exchange(const Held &own) {
    thread_local unsigned turn = 0;
    Warp &warp = block->warps[threadIdx.x / 32];
    Held *held = warp.held[turn++ % 2];
    held[threadIdx.x % 32] = own;
    warp.barrier.arrive_and_wait();
    for (int lane = 0; lane < 32; lane++)
        if (held[lane].instruction != own.instruction) fail("lanes are at different instructions");
    return held;
}

void __syncthreads() { block->all.arrive_and_wait(); }
void __syncwarp() { exchange({.instruction = 0}); }
float __shfl_xor_sync(unsigned, float value, unsigned distance) {
    return exchange({.instruction = 1, .number = value})[threadIdx.x % 32 ^ distance].number;
}

float ofHalf(Half half) { return loops::widen(half); }
}  // namespace

namespace loops {
namespace {
Half *sharedMemory() { return block->memory; }

struct Copy {
    Half *to;
    const Half *from;
};
thread_local std::vector<Copy> copies;
void copyEight(Half *to, const Half *from) {
    if ((uintptr_t)to % 16 || (uintptr_t)from % 16) fail("a copy is not aligned");
    copies.push_back({to, from});
}
void waitForCopies() {
    for (const Copy &copy : copies) std::memcpy(copy.to, copy.from, 16);
    copies.clear();
}

/// ldmatrix .x4: thread T gets of matrix i, from its row T / 4, elements 2 (T % 4) and the next; with .trans from column T / 4.
void load(unsigned (&four)[4], const Half *row, bool isTransposed) {
    const Held *held = exchange({.instruction = isTransposed ? 3 : 2, .row = row});
    const int lane = threadIdx.x % 32;
    for (int i = 0; i < 4; i++) {
        int banks = 0;
        for (int r = 0; r < 8; r++) {
            const long long at = (const char *)held[8 * i + r].row - (const char *)block->memory;
            if (at < 0 || at + 16 > block->bytes || at % 16) fail("a row of a matrix begins at a wrong place");
            banks |= 1 << at / 16 % 8;
        }
        if (banks != 0xFF) fail("rows of a matrix are in the same banks");
        Half pair[2];
        for (int j = 0; j < 2; j++) {
            const int r = isTransposed ? 2 * (lane % 4) + j : lane / 4, column = isTransposed ? lane / 4 : 2 * (lane % 4) + j;
            pair[j] = held[8 * i + r].row[column];
        }
        four[i] = pair[0] | (unsigned)pair[1] << 16;
    }
}
void loadMatrices(unsigned (&four)[4], const Half *row) { load(four, row, false); }
void loadTransposed(unsigned (&four)[4], const Half *row) { load(four, row, true); }

/// mma .m16n8k16 and .m16n8k8 with .bf16. "groupID" is lane >> 2, "threadID_in_group" lane % 4. Element i of C is in row groupID
/// (i < 2) or groupID + 8, and column 2 threadID_in_group + (i & 1).
void multiply(float (&c)[4], const Held *held, int depth) {
    float a[16][16]{}, b[16][8]{};
    for (int lane = 0; lane < 32; lane++) {
        const int group = lane >> 2, thread = lane % 4;
        for (int i = 0; i < depth / 2; i++) {
            const int row = depth == 8 ? (i < 2 ? group : group + 8) : (i < 2 || (4 <= i && i < 6)) ? group : group + 8;
            const int column = thread * 2 + (i & 1) + (depth == 16 && i >= 4 ? 8 : 0);
            a[row][column] = ofHalf((Half)(held[lane].words[i / 2] >> 16 * (i % 2)));
        }
        for (int i = 0; i < depth / 4; i++)
            b[thread * 2 + (i & 1) + (i >= 2 ? 8 : 0)][group] = ofHalf((Half)(held[lane].words[4 + i / 2] >> 16 * (i % 2)));
    }
    const int lane = threadIdx.x % 32, group = lane >> 2, thread = lane % 4;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < depth; k++) c[i] += a[i < 2 ? group : group + 8][k] * b[k][thread * 2 + (i & 1)];
}
void multiply16(float (&c)[4], const unsigned (&a)[4], unsigned upper, unsigned lower) {
    multiply(c, exchange({.instruction = 4, .words = {a[0], a[1], a[2], a[3], upper, lower}}), 16);
}
void multiply8(float (&c)[4], unsigned top, unsigned bottom, unsigned b) {
    multiply(c, exchange({.instruction = 5, .words = {top, bottom, 0, 0, b, 0}}), 8);
}

unsigned packHalves(float low, float high) { return narrow<Half>(low) | (unsigned)narrow<Half>(high) << 16; }
float powerOfTwo(float x) { return std::exp2(x); }
}  // namespace
}  // namespace loops

#include "../../Sources/CTorch/attention-cuda.h"

namespace {
using namespace loops;

template <class Arguments>
void launch(void (*kernel)(Arguments), const Arguments &arguments, unsigned blocks, unsigned threads, long long bytes) {
    for (unsigned index = 0; index < blocks; index++) {
        Block running(threads, bytes);
        block = &running;
        std::vector<std::thread> all;
        for (unsigned thread = 0; thread < threads; thread++)
            all.emplace_back([=] {
                threadIdx = {thread}, blockIdx = {index}, blockDim = {threads};
                kernel(arguments);
                if (!copies.empty()) fail("copies that nobody has waited for");
            });
        for (std::thread &thread : all) thread.join();
    }
}

struct Problem {
    int samples, heads, tokens, width;
    std::vector<Half> packed, gradientOutput;
    std::vector<double> output, gradientPacked, sums;

    size_t at(int sample, int token, int head) const { return ((size_t(sample) * tokens + token) * heads + head) * width; }
    size_t at(int sample, int token, int part, int head) const {
        return (((size_t(sample) * tokens + token) * 3 + part) * heads + head) * width;
    }
    double scale() const { return 1 / std::sqrt((double)width); }

    Problem(int samples, int heads, int tokens, int width, double size)
        : samples(samples), heads(heads), tokens(tokens), width(width) {
        std::mt19937 random(7);
        std::normal_distribution<float> normal;
        packed.resize((size_t)samples * tokens * 3 * heads * width);
        gradientOutput.resize(packed.size() / 3);
        for (size_t i = 0; i < packed.size(); i++)
            packed[i] = narrow<Half>(normal(random) * (i / (heads * width) % 3 < 2 ? (float)size : 1));
        for (Half &number : gradientOutput) number = narrow<Half>(normal(random));
        output.resize(gradientOutput.size()), gradientPacked.resize(packed.size()), sums.resize(samples * 3 * heads * width);
        for (int sample = 0; sample < samples; sample++)
            for (int head = 0; head < heads; head++) solve(sample, head);
        for (size_t i = 0; i < gradientPacked.size(); i++) {
            const size_t row = i / (3 * heads * width);
            sums[row / tokens * 3 * heads * width + i % (3 * heads * width)] += gradientPacked[i];
        }
    }

    double number(int sample, int token, int part, int head, int i) const {
        return widen(packed[at(sample, token, part, head) + i]);
    }

    void solve(int sample, int head) {
        std::vector<double> p(tokens), dp(tokens);
        for (int query = 0; query < tokens; query++) {
            double greatest = -HUGE_VAL, sum = 0, delta = 0;
            for (int key = 0; key < tokens; key++) {
                p[key] = dp[key] = 0;
                for (int i = 0; i < width; i++) {
                    p[key] += number(sample, query, 0, head, i) * number(sample, key, 1, head, i) * scale();
                    dp[key] += widen(gradientOutput[at(sample, query, head) + i]) * number(sample, key, 2, head, i);
                }
                greatest = std::max(greatest, p[key]);
            }
            for (double &number : p) sum += number = std::exp(number - greatest);
            for (int key = 0; key < tokens; key++) delta += (p[key] /= sum) * dp[key];
            for (int key = 0; key < tokens; key++) {
                const double ds = p[key] * (dp[key] - delta) * scale();
                for (int i = 0; i < width; i++) {
                    output[at(sample, query, head) + i] += p[key] * number(sample, key, 2, head, i);
                    gradientPacked[at(sample, query, 0, head) + i] += ds * number(sample, key, 1, head, i);
                    gradientPacked[at(sample, key, 1, head) + i] += ds * number(sample, query, 0, head, i);
                    gradientPacked[at(sample, key, 2, head) + i] += p[key] * widen(gradientOutput[at(sample, query, head) + i]);
                }
            }
        }
    }
};

bool isRight = true;

/// The relative error in the L2 norm over some of the numbers.
template <class T>
void compare(const char *name, const std::vector<T> &numbers, const std::vector<double> &expected, double limit,
             const std::function<bool(size_t)> &isMeant) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < numbers.size(); i++) {
        if (!isMeant(i)) continue;
        difference += std::pow(widen(numbers[i]) - expected[i], 2);
        norm += expected[i] * expected[i];
    }
    const double error = std::sqrt(difference / norm);
    printf("  %s %.2e", name, error);
    if (error < limit) return;
    printf(" (over %.0e)", limit);
    isRight = false;
}

void test(int samples, int heads, int tokens, int width, double size, double limit) {
    const Problem problem(samples, heads, tokens, width, size);
    constexpr Half none = 0x7FC0;
    std::vector<Half> output(problem.output.size(), none), gradient(problem.packed.size(), none);
    std::vector<float> statistics(samples * heads * tokens, NAN), sums(problem.sums.size(), NAN);
    const PackedHeads sizes{heads, tokens, (float)problem.scale()};
    const unsigned blocks = samples * heads;
    launch(width == 64 ? attention_forward_64 : attention_forward_72,
           AttentionForwardArguments{sizes, problem.packed.data(), output.data(), statistics.data()}, blocks,
           attentionForwardThreads, attentionForwardBytes(tokens, width));
    launch(width == 64 ? attention_backward_64 : attention_backward_72,
           AttentionBackwardArguments{sizes, problem.packed.data(), output.data(), problem.gradientOutput.data(),
                                      statistics.data(), gradient.data(), sums.data()},
           blocks, attentionBackwardThreads, attentionBackwardBytes(tokens, width));
    printf("B %d, H %d, N %d, D %d, q and k times %g:", samples, heads, tokens, width, size);
    compare("y", output, problem.output, 1e-2, [](size_t) { return true; });
    const size_t part = heads * width;
    const char *names[] = {"dq", "dk", "dv"}, *sumNames[] = {"sums of dq", "of dk", "of dv"};
    for (size_t i = 0; i < 3; i++)
        compare(names[i], gradient, problem.gradientPacked, limit, [=](size_t at) { return at / part % 3 == i; });
    for (size_t i = 0; i < 3; i++)  // those of dk are zero but for rounding: a shift of all keys changes nothing
        if (i != 1) compare(sumNames[i], sums, problem.sums, limit, [=](size_t at) { return at / part % 3 == i; });
    std::vector<double> own(sums.size());
    for (size_t i = 0; i < gradient.size(); i++) own[i / (3 * part * tokens) * 3 * part + i % (3 * part)] += widen(gradient[i]);
    compare("sums of own gradients", sums, own, 1e-4, [](size_t) { return true; });
    printf("\n");
}
}  // namespace

/// Whether all errors are below their limits.
bool attentionIsRight() {
    isRight = true;
    for (int width : {64, 72}) {
        for (int tokens : {32, 64, 96, 128, 256}) test(1, 2, tokens, width, 1, 1e-2);
        test(2, 3, 32, width, 1, 1e-2);
        test(1, 2, 128, width, 8, 2e-2);  // scores that overflow unless the greatest is subtracted
    }
    puts(isRight ? "right" : "WRONG");
    return isRight;
}

#ifdef ALONE
int main(int count, char **arguments) {
    if (count < 3) return attentionIsRight() ? 0 : 1;
    test(1, 2, std::atoi(arguments[1]), std::atoi(arguments[2]), 1, 1e-2);
    return isRight ? 0 : 1;
}
#endif
