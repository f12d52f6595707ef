// The loops of the kernels in kernels.cpp, which says why they are safe: plain numbers in, plain numbers out.
//
// Each is a structure of arrays and sizes whose operator() does the units of work from `first` up to `end`.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>

#define INLINE [[gnu::always_inline]] inline

namespace loops {

// ---- Numbers -------------------------------------------------------------------------------------------------------

/// A bfloat16: the upper half of a float32.
using Half = uint16_t;

INLINE float widen(float x) { return x; }
INLINE float widen(Half x) { return std::bit_cast<float>((uint32_t)x << 16); }

/// Rounds to the nearest, ties to even; what is not a number stays none.
template <class T> INLINE T narrow(float x);
template <> INLINE float narrow<float>(float x) { return x; }
template <> INLINE Half narrow<Half>(float x) {
    uint32_t bits = std::bit_cast<uint32_t>(x);
    uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    return (Half)((bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC0 : rounded);
}

// ---- LayerNorm with modulation -------------------------------------------------------------------------------------

/// Rows of a backward unit. Fixed, so that sums over rows are the same with any number of threads.
constexpr int64_t unitRows = 64;

/// x [B, N, D], and vectors of each sample that lie `stride` apart: the parts of a modulation's output need no copy.
struct Sizes {
    int64_t samples, rows, width;

    int64_t elements() const { return samples * rows * width; }
    int64_t unitsOfSample() const { return (rows + unitRows - 1) / unitRows; }
};

struct Vectors {
    const float *data;
    int64_t stride;

    INLINE const float *operator[](int64_t sample) const { return data + sample * stride; }
};

/// y = (x - mean) / deviation * (1 + scale) + shift. A unit is a row. `statistics` gets mean and 1 / deviation of each.
template <class T> struct NormForward {
    Sizes sizes;
    const float *x;
    Vectors scale, shift;
    float epsilon;
    T *y;
    float *statistics;  // null where there will be no backward pass

    INLINE void operator()(int64_t first, int64_t end) const {
#pragma clang fp reassociate(on) contract(fast)
        const int64_t width = sizes.width;
        for (int64_t row = first; row < end; row++) {
            const float *__restrict in = x + row * width;
            const float *__restrict scales = scale[row / sizes.rows];
            const float *__restrict shifts = shift[row / sizes.rows];
            T *__restrict out = y + row * width;
            float mean = 0, square = 0;
            for (int64_t i = 0; i < width; i++) mean += in[i];
            mean /= (float)width;
            for (int64_t i = 0; i < width; i++) square += (in[i] - mean) * (in[i] - mean);
            float inverse = 1 / __builtin_sqrtf(square / (float)width + epsilon);
            for (int64_t i = 0; i < width; i++)
                out[i] = narrow<T>((in[i] - mean) * inverse * (1 + scales[i]) + shifts[i]);
            if (statistics) {
                statistics[2 * row] = mean;
                statistics[2 * row + 1] = inverse;
            }
        }
    }
};

/// The gradients of x, and of scale and shift summed over the rows of each unit: at most 64 rows of one sample.
/// With n = (x - mean) / deviation and v = g (1 + scale): (v - mean of v - n * mean of v n) / deviation, g n and g.
template <class T> struct NormBackward {
    Sizes sizes;
    const float *x;
    const T *gradient;
    Vectors scale;
    const float *statistics;
    float *gradientX, *gradientScale, *gradientShift;

    INLINE void operator()(int64_t first, int64_t end) const {
        for (int64_t unit = first; unit < end; unit++) {
            int64_t sample = unit / sizes.unitsOfSample();
            int64_t start = unit % sizes.unitsOfSample() * unitRows;
            int64_t stop = std::min(sizes.rows, start + unitRows);
            for (int64_t i = 0; i < sizes.width; i++) {
                gradientScale[unit * sizes.width + i] = 0;
                gradientShift[unit * sizes.width + i] = 0;
            }
            for (int64_t row = start; row < stop; row++) oneRow(unit, sample, sample * sizes.rows + row);
        }
    }

    INLINE void oneRow(int64_t unit, int64_t sample, int64_t row) const {
#pragma clang fp reassociate(on) contract(fast)
        const int64_t width = sizes.width;
        const float *__restrict in = x + row * width;
        const T *__restrict incoming = gradient + row * width;
        const float *__restrict scales = scale[sample];
        float *__restrict out = gradientX + row * width;
        float *__restrict sumScale = gradientScale + unit * width;
        float *__restrict sumShift = gradientShift + unit * width;
        const float mean = statistics[2 * row], inverse = statistics[2 * row + 1];
        float meanV = 0, meanVN = 0;
        for (int64_t i = 0; i < width; i++) {
            float n = (in[i] - mean) * inverse, g = widen(incoming[i]), v = g * (1 + scales[i]);
            meanV += v;
            meanVN += v * n;
            sumScale[i] += g * n;
            sumShift[i] += g;
        }
        meanV /= (float)width;
        meanVN /= (float)width;
        for (int64_t i = 0; i < width; i++) {
            float n = (in[i] - mean) * inverse;
            out[i] = inverse * (widen(incoming[i]) * (1 + scales[i]) - meanV - n * meanVN);
        }
    }
};

/// Adds up `count` rows for each sample, the first one first: from [B, count, D] to [B, D]. A unit is a sample.
struct SumInOrder {
    int64_t count, width;
    const float *from;
    float *to;

    INLINE void operator()(int64_t first, int64_t end) const {
        for (int64_t sample = first; sample < end; sample++) {
            float *__restrict out = to + sample * width;
            for (int64_t i = 0; i < width; i++) out[i] = 0;
            for (int64_t row = sample * count; row < (sample + 1) * count; row++) {
                const float *__restrict in = from + row * width;
                for (int64_t i = 0; i < width; i++) out[i] += in[i];
            }
        }
    }
};

// ---- Sum with a gate -----------------------------------------------------------------------------------------------

/// y = x + gate * branch. A unit is a row.
template <class T> struct GateForward {
    Sizes sizes;
    const float *x;
    const T *branch;
    Vectors gate;
    float *y;

    INLINE void operator()(int64_t first, int64_t end) const {
        const int64_t width = sizes.width;
        for (int64_t row = first; row < end; row++) {
            const float *__restrict in = x + row * width;
            const T *__restrict added = branch + row * width;
            const float *__restrict gates = gate[row / sizes.rows];
            float *__restrict out = y + row * width;
            for (int64_t i = 0; i < width; i++) out[i] = in[i] + gates[i] * widen(added[i]);
        }
    }
};

/// The gradients of the branch, gate * g, and of the gate, branch * g summed over the rows of each unit as above.
template <class T> struct GateBackward {
    Sizes sizes;
    const float *gradient;
    const T *branch;
    Vectors gate;
    T *gradientBranch;
    float *gradientGate;

    INLINE void operator()(int64_t first, int64_t end) const {
        const int64_t width = sizes.width;
        for (int64_t unit = first; unit < end; unit++) {
            const int64_t sample = unit / sizes.unitsOfSample();
            const int64_t start = unit % sizes.unitsOfSample() * unitRows;
            const int64_t stop = std::min(sizes.rows, start + unitRows);
            const float *__restrict gates = gate[sample];
            float *__restrict sum = gradientGate + unit * width;
            for (int64_t i = 0; i < width; i++) sum[i] = 0;
            for (int64_t row = sample * sizes.rows + start; row < sample * sizes.rows + stop; row++) {
                const float *__restrict g = gradient + row * width;
                const T *__restrict added = branch + row * width;
                T *__restrict out = gradientBranch + row * width;
                for (int64_t i = 0; i < width; i++) {
                    sum[i] += widen(added[i]) * g[i];
                    out[i] = narrow<T>(gates[i] * g[i]);
                }
            }
        }
    }
};

// ---- GELU ----------------------------------------------------------------------------------------------------------

/// Elements of a unit: a multiple of every vector length, so that the same element is always in the same lane.
constexpr int64_t unitElements = 4096;

/// e^x with a relative error of about 1e-7, as 2^n e^r with |r| <= ln(2) / 2. Limited to the range of normal numbers.
INLINE float exponential(float x) {
    x = x < -87.f ? -87.f : x > 87.f ? 87.f : x;
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits, where it only has to be moved.
    float shifted = x * 1.44269504f + 12582912.f, n = shifted - 12582912.f;
    float r = x - n * 0.693359375f - n * -2.12194440e-4f;  // ln(2) in two parts, the first exact in products with n
    float tail = 4.1666467e-2f + r * (8.3334519e-3f + r * 1.3981999e-3f);
    float polynomial = 1.f + r * (1.f + r * (0.5f + r * (1.6666667e-1f + r * tail)));
    return polynomial * std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + (127u << 23));
}

constexpr float slope = 0.7978845608f, cubic = 0.044715f;  // u = sqrt(2 / pi) (x + 0.044715 x^3)

/// y = x / 2 (1 + tanh u) = x / (1 + e^-2u).
template <class T> struct GeluForward {
    int64_t count;
    const T *x;
    T *y;

    INLINE void operator()(int64_t first, int64_t end) const {
#pragma clang fp contract(fast)
        const T *__restrict in = x;
        T *__restrict out = y;
        const int64_t stop = std::min(count, end * unitElements);
        for (int64_t i = first * unitElements; i < stop; i++) {
            float v = widen(in[i]), u = slope * (v + cubic * v * v * v);
            out[i] = narrow<T>(v / (1.f + exponential(-2.f * u)));
        }
    }
};

/// dy/dx = s + x 2 s (1 - s) du/dx with s = 1 / (1 + e), e = e^-2u; 1 - s as e s, which does not cancel.
template <class T> struct GeluBackward {
    int64_t count;
    const T *x, *gradient;
    T *gradientX;

    INLINE void operator()(int64_t first, int64_t end) const {
#pragma clang fp contract(fast)
        const T *__restrict in = x;
        const T *__restrict g = gradient;
        T *__restrict out = gradientX;
        const int64_t stop = std::min(count, end * unitElements);
        for (int64_t i = first * unitElements; i < stop; i++) {
            float v = widen(in[i]), u = slope * (v + cubic * v * v * v);
            float e = exponential(-2.f * u), s = 1.f / (1.f + e);
            out[i] = narrow<T>(widen(g[i]) * (s + 2.f * slope * v * (1.f + 3.f * cubic * v * v) * (e * s) * s));
        }
    }
};

}  // namespace loops
