// Addressed random numbers (see Torch/Draws.swift for their purpose): Philox 4x32-10 and Box-Muller.
//
// How it is fast. The loops have no branches and no calls, so compilers vectorise them for the processor's widest registers:
// logarithm, sine and cosine are the polynomials of fdlibm (Sun Microsystems, 1993) on ranges where the polynomials suffice. The
// angle 2 pi v is reduced before it is multiplied, which is exact.
//
// Why it is safe. Contraction into fused multiply-adds is off, so all processors give the same bits; the results are within one
// unit in the last place of float64 and are then rounded to float32.
#include "ctorch.h"
#include <algorithm>
#include <bit>
#pragma clang fp contract(off)

// The choice of instructions does not affect the results, so the loader may choose by itself.
#define VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

namespace {

constexpr int64_t group = 64;  // blocks of four words that fit into the L1 cache together

/// The blocks for counter, counter + 1, ..., word by word.
template <int64_t blocks>
[[gnu::always_inline]] inline void philox(uint64_t key, const uint32_t counter[4], uint32_t words[4][blocks]) {
    for (int64_t block = 0; block < blocks; ++block) {
        uint32_t c0 = counter[0] + (uint32_t)block, c1 = counter[1], c2 = counter[2], c3 = counter[3];
        uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
#pragma clang loop unroll(full)
        for (int round = 0; round < 10; ++round) {
            uint64_t p = (uint64_t)c0 * 0xD2511F53, q = (uint64_t)c2 * 0xCD9E8D57;
            c0 = (uint32_t)(q >> 32) ^ c1 ^ k0, c1 = (uint32_t)q;
            c2 = (uint32_t)(p >> 32) ^ c3 ^ k1, c3 = (uint32_t)p;
            k0 += 0x9E3779B9, k1 += 0xBB67AE85;
        }
        words[0][block] = c0, words[1][block] = c1, words[2][block] = c2, words[3][block] = c3;
    }
}

/// The natural logarithm of x in 2^-33..<1: x = 2^k (1 + f) with 1 + f in sqrt(1/2)..<sqrt(2).
[[gnu::always_inline]] inline double logarithm(double x) {
    uint64_t bits = std::bit_cast<uint64_t>(x) + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD);
    // The exponent as a double without a conversion, for which AVX2 has no instruction.
    double k = std::bit_cast<double>(0x4330000000000000 | bits >> 52) - 0x1p52 - 1023;
    double f = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD) - 1;
    double s = f / (2 + f), z = s * s, w = z * z;
    double odd = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    double half = 0.5 * f * f;
    double low = k * 1.90821492927058770002e-10, high = k * 6.93147180369123816490e-01;  // the parts of k ln 2
    return high - ((half - (s * (half + (even + odd)) + low)) - f);
}

/// The sine and cosine of 2 pi (word + 1/2) / 2^32.
[[gnu::always_inline]] inline void sineAndCosine(uint32_t word, double &sine, double &cosine) {
    uint32_t quadrant = (word + 0x20000000u) >> 30;  // the nearest multiple of pi / 2, 0 to 3
    double rest = ((double)(int32_t)(word - (quadrant << 30)) + 0.5) * (6.28318530717958647693 * 0x1p-32);
    double z = rest * rest;
    double s = rest + rest * z * (-1.66666666666666324348e-01 + z * (8.33333333332248946124e-03
        + z * (-1.98412698298579493134e-04 + z * (2.75573137070700676789e-06
        + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)))));
    double c = 1 - (0.5 * z - z * z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03
        + z * (2.48015872894767294178e-05 + z * (-2.75573143513906633035e-07
        + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))))));
    bool swapped = quadrant & 1;
    double a = swapped ? c : s, b = swapped ? s : c;
    sine = quadrant & 2 ? -a : a;
    cosine = (quadrant + 1) & 2 ? -b : b;
}

/// Two independent normal numbers from a pair of words.
[[gnu::always_inline]] inline void boxMuller(const uint32_t *a, const uint32_t *b, float *first, float *second) {
    for (int64_t i = 0; i < group; ++i) {
        double radius = __builtin_elementwise_sqrt(-2 * logarithm(((double)a[i] + 0.5) * 0x1p-32)), sine, cosine;
        sineAndCosine(b[i], sine, cosine);
        first[i] = (float)(radius * cosine);
        second[i] = (float)(radius * sine);
    }
}

}  // namespace

extern "C" VECTORISED void ct_random_words(uint64_t key, const uint32_t counter[4], uint32_t *out, int64_t count) {
    uint32_t next[4] = {counter[0], counter[1], counter[2], counter[3]};
    for (; count > 4; next[0] += group, out += 4 * group, count -= 4 * group) {
        uint32_t words[4][group];
        philox<group>(key, next, words);
        for (int64_t i = 0; i < std::min(4 * group, count); ++i) out[i] = words[i % 4][i / 4];
    }
    if (count <= 0) return;
    uint32_t words[4][1];
    philox<1>(key, next, words);
    for (int64_t i = 0; i < count; ++i) out[i] = words[i][0];
}

extern "C" VECTORISED void ct_random_normals(uint64_t key, const uint32_t counter[4], float *out, int64_t count) {
    uint32_t next[4] = {counter[0], counter[1], counter[2], counter[3]};
    for (; count > 0; next[0] += group, out += 4 * group, count -= 4 * group) {
        uint32_t words[4][group];
        float normals[4][group], mixed[4 * group];
        philox<group>(key, next, words);
        boxMuller(words[0], words[1], normals[0], normals[1]);
        boxMuller(words[2], words[3], normals[2], normals[3]);
        for (int64_t i = 0; i < 4 * group; ++i) mixed[i] = normals[i % 4][i / 4];
        std::copy_n(mixed, std::min(4 * group, count), out);
    }
}
