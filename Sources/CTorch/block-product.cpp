// Products of blocks that lie in the cache, in float32 or bfloat16.
//
// How it is fast. A tile of C, 8 rows of 3 vectors with AVX-512, stays in registers while k advances: 24 multiplications for 11
// loads, at 0.99 of the processor's highest rate. Four steps of k are written out: processors fetch ahead of an instruction by its
// last addresses, and loads that recur only every four steps are too far apart for that, which would evict what is needed. The
// compiler is kept from moving loads from one step to another, for which there are not enough registers. Instead, the memory
// that the next product will read is fetched along the way, a line in each step.
#include "block-product.h"
#include <immintrin.h>
using namespace loops;

#define UNROLLED _Pragma("clang loop unroll(full)")
#define NOT_UNROLLED _Pragma("clang loop unroll(disable)")

namespace {

/// Of a float32 number or a pair of bfloat16.
constexpr int64_t wordBytes = 4;

INLINE float wordAt(const char *place) {
    float word;
    std::memcpy(&word, place, sizeof word);
    return word;
}

/// Hands out the lines of a product's `ahead`, as many rows of a line to each tile as it has steps.
class Fetching {
  public:
    template <class T, class Out>
    explicit Fetching(const BlockProduct<T, Out> &product)
        : regions(product.ahead), steps(product.k / pairing<T>), nothing(reinterpret_cast<const char *>(product.b)) {}

    void next(const char *&ahead, int64_t &bytes) {
        ahead = nothing, bytes = 0;
        while (region < std::size(regions)) {
            const Ahead &now = regions[region];
            if (row < now.rows) {
                ahead = static_cast<const char *>(now.begin) + row * now.stride + line;
                bytes = now.stride;
                line += lineBytes;
                if (line >= now.bytes) line = 0, row += steps;
                return;
            }
            region++, row = 0;
        }
    }

  private:
    static constexpr int64_t lineBytes = 64;
    const Ahead (&regions)[2];
    const int64_t steps;
    const char *const nothing;
    size_t region = 0;
    int64_t row = 0, line = 0;  // in bytes
};

// Float32 tiles round nothing, so they contain no instruction of AVX512-BF16.
#pragma clang attribute push([[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]], apply_to = function)
namespace avx512 {

using Vector = __m512;
using Mask = __mmask16;
constexpr int64_t lanes = 16, tileRows = 8, tileVectors = 3;

INLINE Mask firstLanes(int64_t count) { return (Mask)((1 << count) - 1); }

template <bool isWhole> INLINE Vector load(const void *from, const Mask &used) {
    return isWhole ? _mm512_loadu_ps(from) : _mm512_maskz_loadu_ps(used, from);
}

template <bool isWhole> INLINE void store(float *to, const Mask &used, const Vector &sums) {
    isWhole ? _mm512_storeu_ps(to, sums) : _mm512_mask_storeu_ps(to, used, sums);
}
template <bool isWhole> INLINE void store(HardwareBFloat16 *to, const Mask &used, const Vector &sums) {
    const __m256i rounded = (__m256i)_mm512_cvtneps_pbh(sums);
    isWhole ? _mm256_storeu_si256((__m256i *)to, rounded) : _mm256_mask_storeu_epi16(to, used, rounded);
}

INLINE Vector broadcast(const char *word) { return _mm512_set1_ps(wordAt(word)); }

template <class T> INLINE Vector multiplyAdd(const Vector &a, const Vector &b, const Vector &sum) {
    if constexpr (pairing<T> == 1) return _mm512_fmadd_ps(a, b, sum);
    else return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

#include "block-tiles.h"

}  // namespace avx512
#pragma clang attribute pop

#pragma clang attribute push([[gnu::target("avx2,fma")]], apply_to = function)
namespace avx2 {

using Vector = __m256;
using Mask = __m256i;
constexpr int64_t lanes = 8, tileRows = 6, tileVectors = 2;

INLINE Mask firstLanes(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

template <bool isWhole> INLINE Vector load(const void *from, const Mask &used) {
    const float *numbers = static_cast<const float *>(from);
    return isWhole ? _mm256_loadu_ps(numbers) : _mm256_maskload_ps(numbers, used);
}

template <bool isWhole> INLINE void store(float *to, const Mask &used, const Vector &sums) {
    isWhole ? _mm256_storeu_ps(to, sums) : _mm256_maskstore_ps(to, used, sums);
}

INLINE Vector broadcast(const char *word) { return _mm256_set1_ps(wordAt(word)); }

template <class T> INLINE Vector multiplyAdd(const Vector &a, const Vector &b, const Vector &sum) {
    static_assert(pairing<T> == 1, "AVX2 has no bfloat16");
    return _mm256_fmadd_ps(a, b, sum);
}

#include "block-tiles.h"

}  // namespace avx2
#pragma clang attribute pop

}  // namespace

template <class T, class Out> void BlockProduct<T, Out>::multiply() const {
    if constexpr (pairing<T> == 1) {
        static const bool isWide = std::string_view(ct_cpu_capability()).starts_with("AVX512");
        if (!isWide) return avx2::multiply(*this);
    }
    avx512::multiply(*this);
}

template struct loops::BlockProduct<float, float>;
template struct loops::BlockProduct<HardwareBFloat16, float>;
template struct loops::BlockProduct<HardwareBFloat16, HardwareBFloat16>;
