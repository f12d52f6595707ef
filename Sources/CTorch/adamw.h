// The loops of adamw.cpp, which explains how they are fast.
#pragma once
#include "numbers.h"
#include <cmath>
#include <cstdint>

namespace loops {

/// Some numbers of one parameter, and what belongs to them.
struct ParameterPart {
    float *value;
    const float *gradient;   // null if the parameter is not trained
    float *first, *second;   // AdamW's moments
    float *average;          // null if there is none
    int64_t count;
};

/// AdamW (Loshchilov and Hutter 2019), then average += (value - average) averageShare. A unit is a part.
struct AdamWStep {
    const ParameterPart *parts;
    float decay;             // 1 - learning rate * weight decay
    float size;              // learning rate / (1 - beta1^step)
    float rootFactor;        // 1 / sqrt(1 - beta2^step)
    float beta2, epsilon, gradientFactor;
    float firstShare, secondShare, averageShare;  // 1 - the decay of each mean

    INLINE void operator()(int64_t first, int64_t end) const {
        for (int64_t i = first; i < end; i++) {
            const ParameterPart &part = parts[i];
            if (part.gradient) part.average ? one<true, true>(part) : one<true, false>(part);
            else if (part.average) one<false, true>(part);
        }
    }

    template <bool isTrained, bool isAveraged> INLINE void one(const ParameterPart &part) const {
#pragma clang fp contract(fast)
#pragma clang loop vectorize(assume_safety)
        for (int64_t i = 0; i < part.count; i++) {
            float value = part.value[i];
            if constexpr (isTrained) {
                const float gradient = part.gradient[i] * gradientFactor;
                const float first = part.first[i] + (gradient - part.first[i]) * firstShare;
                const float second = part.second[i] * beta2 + gradient * gradient * secondShare;
                value = value * decay - size * first / (std::sqrt(second) * rootFactor + epsilon);
                part.first[i] = first;
                part.second[i] = second;
                part.value[i] = value;
            }
            if constexpr (isAveraged) part.average[i] += (value - part.average[i]) * averageShare;
        }
    }
};

/// The sums of the squares of gradients, one for each part. A unit is a part.
struct SquareSums {
    const ParameterPart *parts;
    float *sums;

    INLINE void operator()(int64_t first, int64_t end) const {
#pragma clang fp reassociate(on) contract(fast)
        for (int64_t i = first; i < end; i++) {
            const ParameterPart &part = parts[i];
            float sum = 0;
            for (int64_t j = 0; j < part.count; j++) sum += part.gradient[j] * part.gradient[j];
            sums[i] = sum;
        }
    }
};

}  // namespace loops
