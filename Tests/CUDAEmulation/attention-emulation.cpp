// The instructions of tensor cores exchange what the lanes of a warp hold, in the layouts that the PTX ISA gives them. It is
// checked that the rows of a matrix begin inside shared memory, at multiples of 16 bytes and in different banks. Copies arrive
// only when they are waited for.
#include "emulated-cuda.h"
#include "emulation.h"
#include "../../Sources/CTorch/attention-arguments.h"

namespace loops {
namespace {
using namespace emulated;

BFloat16 *sharedMemory() { return block->memory.get(); }

void copyEight(BFloat16 *to, const BFloat16 *from) {
    if ((uintptr_t)to % 16 || (uintptr_t)from % 16) fail("a copy is not aligned");
    current().copies.push_back({to, from});
}
void waitForCopies() {
    for (const Copy &copy : current().copies) std::memcpy(copy.to, copy.from, 16);
    current().copies.clear();
}

/// ldmatrix .x4: thread T gets of matrix i, from its row T / 4, elements 2 (T % 4) and the next; with .trans from column T / 4.
void load(unsigned (&four)[4], const BFloat16 *row, bool isTransposed) {
    const Held *held = exchange({.instruction = isTransposed ? Instruction::loadTransposed : Instruction::load, .row = row});
    const int lane = threadIdx.x % 32;
    for (int i = 0; i < 4; i++) {
        int banks = 0;
        for (int r = 0; r < 8; r++) {
            const long long at = (const char *)held[8 * i + r].row - (const char *)block->memory.get();
            if (at < 0 || at + 16 > block->bytes || at % 16) fail("a row of a matrix begins at a wrong place");
            banks |= 1 << at / 16 % 8;
        }
        if (banks != 0xFF) fail("rows of a matrix are in the same banks");
        BFloat16 pair[2];
        for (int j = 0; j < 2; j++) {
            const int r = isTransposed ? 2 * (lane % 4) + j : lane / 4, column = isTransposed ? lane / 4 : 2 * (lane % 4) + j;
            pair[j] = held[8 * i + r].row[column];
        }
        four[i] = pair[0] | (unsigned)pair[1] << 16;
    }
}
void loadMatrices(unsigned (&four)[4], const BFloat16 *row) { load(four, row, false); }
void loadTransposed(unsigned (&four)[4], const BFloat16 *row) { load(four, row, true); }

/// mma .m16n8k16 and .m16n8k8 with .bf16. Two neighbours in a row of A, or in a column of B, lie in one word of a lane: those of
/// row or column i at 2 t or 8 + 2 t in lane 4 i + t; and of A also those of row i + 8. Element i of C is in row lane / 4 (i < 2)
/// or 8 below, and column 2 (lane % 4) + (i & 1).
void multiply(float (&c)[4], const Held *held, int depth) {
    const int lane = threadIdx.x % 32;
    const auto number = [=](int line, int k, int word) {
        return widen((BFloat16)(held[4 * line + k % 8 / 2].words[word] >> 16 * (k % 2)));
    };
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < depth; k++)
            c[i] += number(lane / 4, k, i / 2 + k / 8 * 2) * number(2 * (lane % 4) + i % 2, k, 4 + k / 8);
}
void multiply16(float (&c)[4], const unsigned (&a)[4], unsigned upper, unsigned lower) {
    multiply(c, exchange({.instruction = Instruction::multiply16, .words = {a[0], a[1], a[2], a[3], upper, lower}}), 16);
}
void multiply8(float (&c)[4], unsigned top, unsigned bottom, unsigned b) {
    multiply(c, exchange({.instruction = Instruction::multiply8, .words = {top, bottom, 0, 0, b, 0}}), 8);
}

unsigned packBFloat16(float low, float high) { return narrow<BFloat16>(low) | (unsigned)narrow<BFloat16>(high) << 16; }
float powerOfTwo(float x) { return std::exp2(x); }
}  // namespace
}  // namespace loops

#include "../../Sources/CTorch/attention-cuda.h"

const char *emulate_attention(const emulated_attention *a) {
    using namespace loops;
    return problem([&] {
        const int width = (int)a->width;
        const long long blocks = a->samples * a->heads, count = blocks * a->tokens * width;
        Operand<BFloat16> packed(a->packed, 3 * count), output(a->output, count), gradientOutput(a->gradientOutput, count),
            gradientPacked(a->gradientPacked, 3 * count);
        std::vector<float> statistics(blocks * a->tokens, NAN);
        const PackedHeads sizes{a->heads, a->tokens, 1 / std::sqrt((float)width)};
        launch(width == 64 ? attention_forward_64 : attention_forward_72,
               AttentionForwardArguments{sizes, packed.data(), output.data(), statistics.data()}, blocks,
               attentionForwardThreads, attentionForwardBytes(a->tokens, width));
        output.write(a->output);
        launch(width == 64 ? attention_backward_64 : attention_backward_72,
               AttentionBackwardArguments{sizes, packed.data(), output.data(), gradientOutput.data(), statistics.data(),
                                          gradientPacked.data(), a->sums},
               blocks, attentionBackwardThreads, attentionBackwardBytes(a->tokens, width));
        gradientPacked.write(a->gradientPacked);
    });
}
