// Attention for up to 256 tokens on CUDA, in bfloat16; compiled at run time (cuda.cpp).
//
// A block handles one head of one sample. All of it fits into shared memory, so every number is read once and written once, in
// coalesced 16-byte pieces; scores never leave the block. Products use the tensor cores: a warp multiplies 32 rows, whose parts
// lie in the registers of its threads in the layout of the mma instruction. The result of a product is already in the layout of
// the next one's left operand, once two neighbours are packed into a word.
//
// Sums are in float32; weights and gradients of scores are rounded before they are multiplied. Nothing depends on the order in
// which threads run, so results are deterministic.
#include "attention-arguments.h"

namespace loops {

#ifdef __CUDACC__
/// The shared memory of the block; the launcher sets its size.
__device__ inline BFloat16 *sharedMemory() {
    extern __shared__ __align__(128) BFloat16 memory[];
    return memory;
}

__device__ inline unsigned sharedAddress(const BFloat16 *at) { return (unsigned)__cvta_generic_to_shared(at); }

/// Starts an asynchronous copy of 16 bytes into shared memory.
__device__ inline void copyEight(BFloat16 *to, const BFloat16 *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(to)), "l"(from) : "memory");
}

/// Waits for the copies started by this thread; copies of other threads also need a barrier.
__device__ inline void waitForCopies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

/// Loads four 8 x 8 matrices: lane 8 i + r supplies the address of row r of matrix i, and receives elements 2 (lane % 4) and the
/// next of row lane / 4 of each matrix.
__device__ inline void loadMatrices(unsigned (&four)[4], const BFloat16 *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(four[0]), "=r"(four[1]), "=r"(four[2]), "=r"(four[3])
                 : "r"(sharedAddress(row))
                 : "memory");
}

/// Loads four 8 x 8 matrices transposed.
__device__ inline void loadTransposed(unsigned (&four)[4], const BFloat16 *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(four[0]), "=r"(four[1]), "=r"(four[2]), "=r"(four[3])
                 : "r"(sharedAddress(row))
                 : "memory");
}

/// C [16, 8] += A [16, 16] B [16, 8]. A lane holds columns 2 (lane % 4) and the next of C's rows lane / 4 and lane / 4 + 8. A
/// consists of four 8 x 8 matrices (top left, bottom left, top right, bottom right), as loaded by loadMatrices; B of two, upper
/// and lower, as loaded by loadTransposed, or by loadMatrices if memory holds B^T.
__device__ inline void multiply16(float (&c)[4], const unsigned (&a)[4], unsigned upper, unsigned lower) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(upper), "r"(lower));
}

/// C [16, 8] += A [16, 8] B [8, 8]: the left half of multiply16.
__device__ inline void multiply8(float (&c)[4], unsigned top, unsigned bottom, unsigned b) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(top), "r"(bottom), "r"(b));
}

/// Rounds two numbers and packs them into a word.
__device__ inline unsigned packBFloat16(float low, float high) {
    unsigned word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}

__device__ inline float powerOfTwo(float x) {
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
    return power;
}
#endif

/// The offset of this lane's row in four matrices that lie one below another, or in a square, column by column or row by row.
__device__ inline int inColumn(int stride) { return threadIdx.x % 32 * stride; }
__device__ inline int byColumns(int stride) { return threadIdx.x % 16 * stride + threadIdx.x % 32 / 16 * 8; }
__device__ inline int byRows(int stride) {
    return (threadIdx.x % 8 + threadIdx.x % 32 / 16 * 8) * stride + threadIdx.x / 8 % 2 * 8;
}

/// C [32, 8 count] += A B^T, where the rows of A and B have width D.
template <int D, int count>
__device__ inline void multiplyRows(float (&c)[2][count][4], const BFloat16 *left, const BFloat16 *right) {
    constexpr int stride = tileStride(D);
    unsigned a[2][4], b[4];
#pragma unroll
    for (int k = 0; k + 16 <= D; k += 16) {
        loadMatrices(a[0], left + byColumns(stride) + k);
        loadMatrices(a[1], left + byColumns(stride) + 16 * stride + k);
#pragma unroll
        for (int j = 0; j < count; j += 2) {
            loadMatrices(b, right + byRows(stride) + 8 * j * stride + k);
#pragma unroll
            for (int m = 0; m < 2; m++) multiply16(c[m][j], a[m], b[0], b[1]), multiply16(c[m][j + 1], a[m], b[2], b[3]);
        }
    }
    if constexpr (D % 16 != 0) {
        loadMatrices(a[0], left + inColumn(stride) + D - 8);
#pragma unroll
        for (int j = 0; j < count; j += 4) {
            loadMatrices(b, right + inColumn(stride) + 8 * j * stride + D - 8);
#pragma unroll
            for (int i = 0; i < 8; i++) multiply8(c[i % 2][j + i / 2], a[0][i % 2 * 2], a[0][i % 2 * 2 + 1], b[i / 2]);
        }
    }
}

/// C [32, D] += A [32, 16 count] B [16 count, D], with A in registers and an even count.
template <int D, int count>
__device__ inline void multiplyColumns(float (&c)[2][D / 8][4], const unsigned (&a)[2][count][4], const BFloat16 *right) {
    constexpr int stride = tileStride(D), last = D / 8 - 1;
    unsigned b[4];
#pragma unroll
    for (int k = 0; k < count; k++)
#pragma unroll
        for (int j = 0; j + 1 < D / 8; j += 2) {
            loadTransposed(b, right + byColumns(stride) + 16 * k * stride + 8 * j);
#pragma unroll
            for (int m = 0; m < 2; m++) multiply16(c[m][j], a[m][k], b[0], b[1]), multiply16(c[m][j + 1], a[m][k], b[2], b[3]);
        }
    if constexpr (D % 16 != 0) {
#pragma unroll
        for (int k = 0; k < count; k += 2) {
            loadTransposed(b, right + inColumn(stride) + 16 * k * stride + 8 * last);
#pragma unroll
            for (int m = 0; m < 2; m++)
                multiply16(c[m][last], a[m][k], b[0], b[1]), multiply16(c[m][last], a[m][k + 1], b[2], b[3]);
        }
    }
}

/// Packs the result of a product as the left operand of the next one.
template <int count> __device__ inline void pack(unsigned (&a)[2][count / 2][4], const float (&c)[2][count][4]) {
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int j = 0; j < count; j++) {
            a[m][j / 2][j % 2 * 2] = packBFloat16(c[m][j][0], c[m][j][1]);
            a[m][j / 2][j % 2 * 2 + 1] = packBFloat16(c[m][j][2], c[m][j][3]);
        }
}

/// The address of this lane's two numbers in rows 8 i ... of a product.
__device__ inline unsigned *wordOf(BFloat16 *tile, int stride, int i) {
    const int lane = threadIdx.x % 32;
    return reinterpret_cast<unsigned *>(tile + (8 * i + lane / 4) * stride + lane % 4 * 2);
}

/// Rounds a product and stores it in a tile of the same width.
template <int count> __device__ inline void storeProduct(BFloat16 *tile, const float (&c)[2][count][4]) {
    constexpr int stride = tileStride(8 * count);
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < count; j++)
            *wordOf(tile + 8 * j, stride, i) = packBFloat16(c[i / 2][j][i % 2 * 2], c[i / 2][j][i % 2 * 2 + 1]);
}

/// Eight 16-bit numbers: the unit in which rows are read and written.
struct alignas(16) Eight {
    BFloat16 at[8];
};
__device__ inline const Eight &eightAt(const BFloat16 *from) { return *reinterpret_cast<const Eight *>(from); }
__device__ inline Eight &eightAt(BFloat16 *to) { return *reinterpret_cast<Eight *>(to); }

/// The two numbers of neighbouring queries that a lane holds.
struct alignas(8) Two {
    float at[2];
};
__device__ inline Two twoAt(const float *from) { return reinterpret_cast<const Two *>(from)[threadIdx.x % 4]; }

/// Starts to copy the rows of a head, `step` apart, into a tile.
template <int D> __device__ inline void copyRows(BFloat16 *tile, const BFloat16 *from, long long step, int rows) {
    for (int i = threadIdx.x; i < rows * (D / 8); i += blockDim.x) {
        const int row = i / (D / 8), column = i % (D / 8) * 8;
        copyEight(tile + row * tileStride(D) + column, from + row * step + column);
    }
}

/// The position in memory of a block's head. Few members, since registers are scarce.
struct HeadPlace {
    unsigned heads, sample, head;
    int tokens, width;

    __device__ HeadPlace(const PackedHeads &sizes, int width)
        : heads((unsigned)sizes.heads), sample(blockIdx.x / heads), head(blockIdx.x % heads), tokens((int)sizes.tokens),
          width(width) {}
    /// The distance between rows; three times as much if rows are packed.
    __device__ long long step() const { return (long long)heads * width; }
    /// The offset of the first row.
    __device__ long long rows() const { return sample * tokens * step() + head * width; }
    __device__ long long packed(int part) const { return sample * tokens * 3 * step() + part * step() + head * width; }
};

/// A warp's state for its 32 queries after some of the keys: the output so far and, for each row of a lane, the maximum score and
/// the lane's part of the sum of weights. Output and sum are relative to that maximum.
template <int D> struct Queries {
    float output[2][D / 8][4] = {}, greatest[2][2], sum[2][2] = {};
};

/// Processes more keys. `scale` is the scale of the scores, times log2(e).
template <int D, int keys>
__device__ inline void addKeys(Queries<D> &queries, const BFloat16 *q, const BFloat16 *k, const BFloat16 *v, float scale) {
    float scores[2][keys / 8][4] = {};
    multiplyRows<D>(scores, q, k);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int m = i / 2, r = i % 2;
        float greatest = queries.greatest[m][r];
#pragma unroll
        for (int j = 0; j < keys / 8; j++) greatest = fmaxf(greatest, fmaxf(scores[m][j][2 * r], scores[m][j][2 * r + 1]));
        greatest = fmaxf(greatest, __shfl_xor_sync(0xFFFFFFFF, greatest, 1));
        greatest = fmaxf(greatest, __shfl_xor_sync(0xFFFFFFFF, greatest, 2));
        const float factor = powerOfTwo((queries.greatest[m][r] - greatest) * scale), subtracted = greatest * scale;
        queries.greatest[m][r] = greatest;
        queries.sum[m][r] *= factor;
#pragma unroll
        for (int j = 0; j < D / 8; j++) queries.output[m][j][2 * r] *= factor, queries.output[m][j][2 * r + 1] *= factor;
#pragma unroll
        for (int j = 0; j < keys / 8; j++)
#pragma unroll
            for (int l = 2 * r; l < 2 * r + 2; l++) {
                scores[m][j][l] = powerOfTwo(scores[m][j][l] * scale - subtracted);
                queries.sum[m][r] += scores[m][j][l];
            }
    }
    unsigned weights[2][keys / 16][4];
    pack(weights, scores);
    multiplyColumns<D>(queries.output, weights, v);
}

/// Divides the output by the sums of weights, writes it into a tile, and writes the statistics of the 32 queries to memory.
template <int D> __device__ inline void finish(Queries<D> &queries, BFloat16 *tile, float *statistics, float scale) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int m = i / 2, r = i % 2;
        float sum = queries.sum[m][r];
        sum += __shfl_xor_sync(0xFFFFFFFF, sum, 1);
        sum += __shfl_xor_sync(0xFFFFFFFF, sum, 2);
        const float inverse = 1 / sum;
#pragma unroll
        for (int j = 0; j < D / 8; j++) queries.output[m][j][2 * r] *= inverse, queries.output[m][j][2 * r + 1] *= inverse;
        if (statistics && lane % 4 == 0) statistics[8 * i + lane / 4] = queries.greatest[m][r] * scale + log2f(sum);
    }
    storeProduct(tile, queries.output);
}

/// Attention forward: each warp processes 32 queries at a time; their output replaces them in shared memory on its way to global
/// memory.
template <int D> __device__ inline void attentionForward(const AttentionForwardArguments &a) {
    constexpr int stride = tileStride(D);
    const HeadPlace place(a.sizes, D);
    const int tokens = place.tokens, lane = threadIdx.x % 32;
    const float scale = a.sizes.scale * 1.44269504f;
    BFloat16 *const q = sharedMemory(), *const k = q + tokens * stride, *const v = k + tokens * stride;
    for (int part = 0; part < 3; part++)
        copyRows<D>(q + part * tokens * stride, a.packed + place.packed(part), 3 * place.step(), tokens);
    waitForCopies();
    __syncthreads();
    for (int query = (int)threadIdx.x / 32 * 32; query < tokens; query += blockDim.x) {
        BFloat16 *const tile = q + query * stride;
        Queries<D> queries;
        for (int i = 0; i < 4; i++) queries.greatest[i / 2][i % 2] = __builtin_bit_cast(float, 0xFF800000);  // -infinity
        int key = 0;
        for (; key + 64 <= tokens; key += 64) addKeys<D, 64>(queries, tile, k + key * stride, v + key * stride, scale);
        if (key < tokens) addKeys<D, 32>(queries, tile, k + key * stride, v + key * stride, scale);
        __syncwarp();  // until all lanes have read their part of the queries
        finish(queries, tile, a.statistics ? a.statistics + blockIdx.x * tokens + query : nullptr, scale);
        __syncwarp();
        for (int i = lane; i < 32 * (D / 8); i += 32) {
            const int row = i / (D / 8), column = i % (D / 8) * 8;
            eightAt(a.output + place.rows() + (query + row) * place.step() + column) = eightAt(tile + row * stride + column);
        }
    }
}

/// The contribution of 32 queries to the gradients of 32 keys and values: with weights p = 2^(scale s - statistics), dv += p^T dy
/// and dk += ds^T q, where ds = p (v dy^T - delta). Scores are transposed here: a row is a key. ds^T stays in a tile. The sums of
/// dk and dv take more than half of the registers; with this order of operations the rest just suffices.
template <int D>
__device__ inline void addQueries(float (&dk)[2][D / 8][4], float (&dv)[2][D / 8][4], const BFloat16 *k, const BFloat16 *v, const BFloat16 *q,
                                  const BFloat16 *dy, const float *statistics, const float *delta, float scale, BFloat16 *tile) {
    float p[2][4][4] = {}, ds[2][4][4] = {};
    unsigned packed[2][2][4];
    multiplyRows<D>(p, k, q);
#pragma unroll
    for (int j = 0; j < 4; j++) {
        const Two of = twoAt(statistics + 8 * j);
#pragma unroll
        for (int i = 0; i < 8; i++) p[i / 4][j][i % 4] = powerOfTwo(p[i / 4][j][i % 4] * scale - of.at[i % 2]);
    }
    multiplyRows<D>(ds, v, dy);
    pack(packed, p);
    multiplyColumns<D>(dv, packed, dy);
#pragma unroll
    for (int j = 0; j < 4; j++) {
        const Two of = twoAt(delta + 8 * j);
#pragma unroll
        for (int i = 0; i < 8; i++) ds[i / 4][j][i % 4] = p[i / 4][j][i % 4] * (ds[i / 4][j][i % 4] - of.at[i % 2]);
    }
    pack(packed, ds);
#pragma unroll
    for (int i = 0; i < 16; i++)
        *wordOf(tile + 8 * (i % 4), scoreStride, i / 4) = packed[i / 8][i % 4 / 2][i % 2 * 2 + i / 4 % 2];
    multiplyColumns<D>(dk, packed, q);
}

/// Stores the gradients of 32 queries, scale ds k, in their place in shared memory. A warp handles 16 of them, and every fourth
/// group of eight columns.
template <int D> __device__ inline void storeQueryGradients(BFloat16 *q, const BFloat16 *tile, const BFloat16 *k, int tokens, float scale) {
    constexpr int stride = tileStride(D), count = (D / 8 + 3) / 4;
    const int warp = threadIdx.x / 32, half = warp % 2, quarter = warp / 2;
    float dq[2][count][4] = {};  // two accumulators, since products into the same one must wait for each other
#pragma unroll 2
    for (int key = 0; key < tokens; key += 32) {
        unsigned a[2][4], b[4];
        loadTransposed(a[0], tile + byRows(scoreStride) + key * scoreStride + 16 * half);
        loadTransposed(a[1], tile + byRows(scoreStride) + (key + 16) * scoreStride + 16 * half);
#pragma unroll
        for (int i = 0; i < count; i++) {
            if (4 * i + 3 >= D / 8 && 4 * i + quarter >= D / 8) continue;
            loadTransposed(b, k + inColumn(stride) + key * stride + 8 * (4 * i + quarter));
            multiply16(dq[0][i], a[0], b[0], b[1]);
            multiply16(dq[1][i], a[1], b[2], b[3]);
        }
    }
#pragma unroll
    for (int i = 0; i < count; i++) {
        if (4 * i + 3 >= D / 8 && 4 * i + quarter >= D / 8) continue;
        BFloat16 *const columns = q + 8 * (4 * i + quarter);
        for (int l = 0; l < 4; l++) dq[0][i][l] = (dq[0][i][l] + dq[1][i][l]) * scale;
        *wordOf(columns, stride, 2 * half) = packBFloat16(dq[0][i][0], dq[0][i][1]);
        *wordOf(columns, stride, 2 * half + 1) = packBFloat16(dq[0][i][2], dq[0][i][3]);
    }
}

/// delta of each query: the sum of y dy over its row. Four lanes share a row.
template <int D> __device__ inline void findDelta(float *delta, const BFloat16 *y, const BFloat16 *dy, int tokens) {
    for (int row = threadIdx.x / 4; row < tokens; row += attentionBackwardThreads / 4) {
        float sum = 0;
        for (int column = threadIdx.x % 4 * 8; column < D; column += 32) {
            const Eight left = eightAt(y + row * tileStride(D) + column), right = eightAt(dy + row * tileStride(D) + column);
            for (int i = 0; i < 8; i++) sum += widen(left.at[i]) * widen(right.at[i]);
        }
        sum += __shfl_xor_sync(0xFFFFFFFF, sum, 1);
        sum += __shfl_xor_sync(0xFFFFFFFF, sum, 2);
        if (threadIdx.x % 4 == 0) delta[row] = sum;
    }
}

/// Writes the gradients from the tiles of q, k and v to memory and sums them; each thread keeps the same eight columns.
template <int D>
__device__ inline void storeGradients(const AttentionBackwardArguments &a, const HeadPlace &place, const BFloat16 *tiles,
                                      float *sums) {
    constexpr int groups = sumGroups(D);
    const int group = threadIdx.x / (D / 8), column = threadIdx.x % (D / 8) * 8, tokens = place.tokens;
    for (int part = 0; part < 3 && group < groups; part++) {
        float sum[8] = {};
        for (int row = group; row < tokens; row += groups) {
            const Eight eight = eightAt(tiles + (part * tokens + row) * tileStride(D) + column);
            eightAt(a.gradientPacked + place.packed(part) + row * 3 * place.step() + column) = eight;
            for (int i = 0; i < 8; i++) sum[i] += widen(eight.at[i]);
        }
        for (int i = 0; i < 8; i++) sums[(part * groups + group) * D + column + i] = sum[i];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 3 * D; i += blockDim.x) {
        const int part = i / D, column = i % D;
        float sum = 0;
        for (int group = 0; group < groups; group++) sum += sums[(part * groups + group) * D + column];
        a.sums[(place.sample * 3 + part) * place.step() + place.head * D + column] = sum;
    }
}

/// Attention backward: each warp keeps 32 keys and iterates over the queries, 32 at a time. Their dS^T goes into one of two
/// tiles, where all warps read it for dq. One barrier per iteration is enough, since a warp that writes into a tile again has
/// passed a barrier after all others had read it. After that barrier nobody reads the iteration's queries any more, so dq takes
/// their place.
template <int D> __device__ inline void attentionBackward(const AttentionBackwardArguments &a) {
    constexpr int stride = tileStride(D);
    const HeadPlace place(a.sizes, D);
    const int tokens = place.tokens, size = tokens * stride, firstKey = (int)threadIdx.x / 32 * 32;
    const float scale = a.sizes.scale;
    BFloat16 *const q = sharedMemory(), *const k = q + size, *const v = k + size, *const dy = v + size;
    float *const statistics = reinterpret_cast<float *>(dy + size), *const delta = statistics + tokens;
    BFloat16 *const tiles = reinterpret_cast<BFloat16 *>(delta + tokens);  // y, then dS^T, then the sums
    for (int part = 0; part < 3; part++)
        copyRows<D>(q + part * size, a.packed + place.packed(part), 3 * place.step(), tokens);
    copyRows<D>(dy, a.gradientOutput + place.rows(), place.step(), tokens);
    copyRows<D>(tiles, a.output + place.rows(), place.step(), tokens);
    if ((int)threadIdx.x < tokens) statistics[threadIdx.x] = a.statistics[blockIdx.x * tokens + threadIdx.x];
    waitForCopies();
    __syncthreads();
    findDelta<D>(delta, tiles, dy, tokens);
    __syncthreads();
    float dk[2][D / 8][4] = {}, dv[2][D / 8][4] = {};
    for (int query = 0; query < tokens; query += 32) {
        BFloat16 *const tile = tiles + query / 32 % 2 * tokens * scoreStride;
        if (firstKey < tokens)
            addQueries<D>(dk, dv, k + firstKey * stride, v + firstKey * stride, q + query * stride, dy + query * stride,
                          statistics + query, delta + query, scale * 1.44269504f, tile + firstKey * scoreStride);
        __syncthreads();
        storeQueryGradients<D>(q + query * stride, tile, k, tokens, scale);
    }
    __syncthreads();
    if (firstKey < tokens) {
#pragma unroll
        for (int i = 0; i < D; i++) dk[i / (D / 2)][i / 4 % (D / 8)][i % 4] *= scale;
        storeProduct(k + firstKey * stride, dk);
        storeProduct(v + firstKey * stride, dv);
    }
    __syncthreads();
    storeGradients<D>(a, place, q, reinterpret_cast<float *>(tiles));
}

}  // namespace loops

#define KERNELS(D)                                                                                                               \
    extern "C" __global__ void __launch_bounds__(loops::attentionForwardThreads, 2)                                              \
        attention_forward_##D(loops::AttentionForwardArguments a) {                                                              \
        loops::attentionForward<D>(a);                                                                                           \
    }                                                                                                                            \
    extern "C" __global__ void __launch_bounds__(loops::attentionBackwardThreads, 1)                                             \
        attention_backward_##D(loops::AttentionBackwardArguments a) {                                                            \
        loops::attentionBackward<D>(a);                                                                                          \
    }
KERNELS(64)
KERNELS(72)
#undef KERNELS
