// The arguments of the kernels in attention-cuda.h: plain numbers in, plain numbers out. Queries, keys and values are packed as a
// linear layer writes them, [B, N, 3, H, D]; the scores of a head are q k^T * scale, and its output is softmax(scores) v.
#pragma once
#include "numbers.h"

namespace loops {

/// The sizes and layout of packed heads. N is a multiple of 32, at most 256. All arrays are aligned to 16 bytes.
struct PackedHeads {
    long long heads, tokens;
    float scale;  // scale of the scores; positive
};

struct AttentionForwardArguments {
    PackedHeads sizes;
    const BFloat16 *packed;  // [B, N, 3, H, D]
    BFloat16 *output;        // [B, N, H, D]
    float *statistics;   // [B, H, N]: log2 of the sum of e^score for each query; null if there will be no backward pass
};

struct AttentionBackwardArguments {
    PackedHeads sizes;
    const BFloat16 *packed, *output, *gradientOutput;
    const float *statistics;
    BFloat16 *gradientPacked;
    float *sums;  // [B, 3, H, D]: gradientPacked, summed over the tokens of each sample
};

constexpr int attentionForwardThreads = 128, attentionBackwardThreads = 256;

/// Rows of a tile in shared memory are an odd number of 16-byte units apart, so that eight consecutive rows fall into different
/// banks. A row of dS holds the 32 queries of one iteration.
INLINE constexpr int tileStride(int width) { return width / 8 % 2 ? width : width + 8; }
constexpr int scoreStride = tileStride(32);

/// The number of threads that store and sum each 16-byte column of the gradients.
INLINE constexpr int sumGroups(int width) { return attentionBackwardThreads / (width / 8); }

/// Bytes of shared memory per block: q, k and v.
INLINE constexpr long long attentionForwardBytes(long long tokens, int width) { return 3 * tokens * tileStride(width) * 2; }

/// Bytes of shared memory per block: q, k, v and dy, two numbers per query, and, in the same space in turn, y, two tiles of dS
/// and the sums.
INLINE constexpr long long attentionBackwardBytes(long long tokens, int width) {
    const long long scores = 2 * tokens * scoreStride * 2, sums = 3ll * sumGroups(width) * width * 4;
    return 4 * tokens * tileStride(width) * 2 + 2 * tokens * 4 + (scores > sums ? scores : sums);
}

}  // namespace loops
