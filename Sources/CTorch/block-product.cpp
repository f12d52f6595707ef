// Products of blocks that lie in the cache, in float32 or bfloat16.
//
// How it is fast. A tile of C, 8 rows of 3 vectors, stays in registers while k advances: 24 multiplications for 11 loads, at 0.99
// of the processor's highest rate. Four steps of k are written out: processors fetch ahead of an instruction by its last
// addresses, and loads that recur only every four steps are too far apart for that, which would evict what is needed. The
// compiler is kept from moving loads from one step to another, for which there are not enough registers. Instead, the memory
// that the next product will read is fetched along the way, a line in each step.
#include "block-product.h"
#include <immintrin.h>
using namespace loops;

// Float32 tiles round nothing, so they contain no instruction of AVX512-BF16.
#define WIDE [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")]]
#define INLINE_WIDE WIDE [[gnu::always_inline]] inline
#define UNROLLED _Pragma("clang loop unroll(full)")
#define NOT_UNROLLED _Pragma("clang loop unroll(disable)")

namespace {

constexpr int64_t lanes = 16, wordBytes = 4, tileVectors = 3;

// ---- Vectors of words, each a float32 number or a pair of bfloat16 -------------------------------------------------

/// The lanes in use of a row's last vector; all of them if it is whole.
struct Lanes {
    __mmask16 mask;
    bool areAll() const { return mask == 0xFFFF; }
};

template <bool isWhole> INLINE_WIDE __m512 load(const void *from, Lanes used) {
    return isWhole ? _mm512_loadu_ps(from) : _mm512_maskz_loadu_ps(used.mask, from);
}

template <bool isWhole> INLINE_WIDE void store(float *to, Lanes used, __m512 sums) {
    isWhole ? _mm512_storeu_ps(to, sums) : _mm512_mask_storeu_ps(to, used.mask, sums);
}
template <bool isWhole> INLINE_WIDE void store(HardwareBFloat16 *to, Lanes used, __m512 sums) {
    const __m256i rounded = (__m256i)_mm512_cvtneps_pbh(sums);
    isWhole ? _mm256_storeu_si256((__m256i *)to, rounded) : _mm256_mask_storeu_epi16(to, used.mask, rounded);
}

INLINE_WIDE __m512 broadcast(const char *word) {
    float number;
    std::memcpy(&number, word, sizeof number);
    return _mm512_set1_ps(number);
}

template <class T> INLINE_WIDE __m512 multiplyAdd(__m512 a, __m512 b, __m512 sum) {
    if constexpr (pairing<T> == 1) return _mm512_fmadd_ps(a, b, sum);
    else return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

// ---- Tiles ---------------------------------------------------------------------------------------------------------

/// The first row and column of a tile, and what it fetches ahead: a line in each step, so many bytes apart.
struct Place {
    int64_t row, column;
    Lanes used;
    const char *ahead;
    int64_t aheadBytes;
};

/// Where a tile reads in a step of k: rows 0, 3 and 6 of A, from which the others are reached without a register for each, a row
/// of B, and the line to fetch.
struct Cursor {
    const char *a[3], *b, *ahead;
};

/// Distances in bytes: of the rows of A, and of the places of two steps.
struct Strides {
    int64_t row, a, b, ahead;
};

/// A word of each row of A times a row of B.
template <class T, bool isOfColumns, bool isWhole, int rows, int vectors>
INLINE_WIDE void step(__m512 (&sums)[rows][vectors], Cursor &at, const Strides &strides, Lanes used) {
    __m512 right[vectors];
    UNROLLED for (int j = 0; j < vectors; j++) right[j] = load<isWhole>(at.b + j * lanes * wordBytes, used);
    UNROLLED for (int i = 0; i < rows; i++) {
        const __m512 left = broadcast(isOfColumns ? at.a[0] + i * wordBytes : at.a[i / 3] + i % 3 * strides.row);
        UNROLLED for (int j = 0; j < vectors; j++) sums[i][j] = multiplyAdd<T>(left, right[j], sums[i][j]);
    }
    _mm_prefetch(at.ahead, _MM_HINT_T1);
    UNROLLED for (const char *&row : at.a) row += isOfColumns ? strides.a : wordBytes;
    at.b += strides.b, at.ahead += strides.ahead;
    // Nothing may be moved across the end of a step.
    asm volatile("" : "+r"(at.a[0]), "+r"(at.a[1]), "+r"(at.a[2]), "+r"(at.b) : : "memory");
}

template <class T, class Out, bool isOfColumns, bool isWhole, int rows, int vectors>
WIDE [[gnu::noinline]] void tile(const BlockProduct<T, Out> &product, const Place &place) {
    const Strides strides{product.a.row * (int64_t)sizeof(T), product.a.step * (int64_t)sizeof(T), product.strideB * wordBytes,
                          place.aheadBytes};
    const char *const a = reinterpret_cast<const char *>(product.a.data) + place.row * strides.row;
    Cursor at{{a, a + 3 * strides.row, a + 6 * strides.row},
              reinterpret_cast<const char *>(product.b) + place.column * wordBytes, place.ahead};
    __m512 sums[rows][vectors] = {};
    int64_t left = product.k / pairing<T>;
    NOT_UNROLLED for (; left >= 4; left -= 4)
        UNROLLED for (int i = 0; i < 4; i++) step<T, isOfColumns, isWhole>(sums, at, strides, place.used);
    NOT_UNROLLED for (; left > 0; left--) step<T, isOfColumns, isWhole>(sums, at, strides, place.used);

    Out *const c = product.c + place.row * product.strideC + place.column;
    UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int j = 0; j < vectors; j++) {
            if (product.addend) {
                const float *addend = product.addend + (place.row + i) * product.strideAddend + place.column + j * lanes;
                sums[i][j] += load<isWhole>(addend, place.used);
            }
            store<isWhole>(c + i * product.strideC + j * lanes, place.used, sums[i][j]);
        }
}

/// Computes as many rows as a tile has from `place.row` on; returns their number.
template <class T, class Out, bool isOfColumns, bool isWhole, int vectors>
int64_t someRows(const BlockProduct<T, Out> &product, const Place &place) {
    const int64_t rows = product.m - place.row;
    if (rows >= 8) return tile<T, Out, isOfColumns, isWhole, 8, vectors>(product, place), 8;
    if (rows >= 4) return tile<T, Out, isOfColumns, isWhole, 4, vectors>(product, place), 4;
    if (rows >= 2) return tile<T, Out, isOfColumns, isWhole, 2, vectors>(product, place), 2;
    return tile<T, Out, isOfColumns, isWhole, 1, vectors>(product, place), 1;
}

template <class T, class Out, bool isOfColumns>
int64_t someRows(const BlockProduct<T, Out> &product, const Place &place, int64_t vectors) {
    if (!place.used.areAll()) return someRows<T, Out, isOfColumns, false, 1>(product, place);
    if (vectors == 3) return someRows<T, Out, isOfColumns, true, 3>(product, place);
    if (vectors == 2) return someRows<T, Out, isOfColumns, true, 2>(product, place);
    return someRows<T, Out, isOfColumns, true, 1>(product, place);
}

/// Hands out the lines of a product's `ahead`, as many rows of a line to each tile as it has steps.
class Fetching {
  public:
    template <class T, class Out>
    explicit Fetching(const BlockProduct<T, Out> &product)
        : regions(product.ahead), steps(product.k / pairing<T>), nothing(reinterpret_cast<const char *>(product.b)) {}

    void next(Place &place) {
        place.ahead = nothing, place.aheadBytes = 0;
        while (region < std::size(regions)) {
            const Ahead &now = regions[region];
            if (row < now.rows) {
                place.ahead = static_cast<const char *>(now.begin) + row * now.stride + line;
                place.aheadBytes = now.stride;
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

}  // namespace

template <class T, class Out> void BlockProduct<T, Out>::multiply() const {
    const bool isOfColumns = a.row == pairing<T>;
    Fetching fetching(*this);
    auto someColumns = [&](int64_t vector, int64_t vectors, Lanes used) {
        Place place{0, vector * lanes, used, nullptr, 0};
        while (place.row < m) {
            fetching.next(place);
            place.row += isOfColumns ? someRows<T, Out, true>(*this, place, vectors)
                                     : someRows<T, Out, false>(*this, place, vectors);
        }
    };
    // Parts of about equal width, since a narrow tile waits for loads.
    const int64_t vectors = n / lanes, parts = (vectors + tileVectors - 1) / tileVectors, excess = n % lanes;
    for (int64_t part = 0; part < parts; part++) {
        const int64_t first = vectors * part / parts, end = vectors * (part + 1) / parts;
        someColumns(first, end - first, {0xFFFF});
    }
    if (excess) someColumns(vectors, 1, {(__mmask16)((1 << excess) - 1)});
}

template struct loops::BlockProduct<float, float>;
template struct loops::BlockProduct<HardwareBFloat16, float>;
template struct loops::BlockProduct<HardwareBFloat16, HardwareBFloat16>;
