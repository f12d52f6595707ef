// Self-attention whose queries, keys and values a linear layer has written side by side, [B, N, 3 H d]: on the CPU
// (attention.cpp), and on CUDA for the sequence lengths of image transformers, at most 256 tokens in bfloat16. Its plain
// counterpart splits them (Torch/Kernels.swift).
//
// How it is fast. Gradients are written where the linear layer reads them. On CUDA a head fits into the shared memory of a block:
// everything is read once and written once, nothing waits for sums of other blocks, and the sums for the layer's bias are
// computed along the way (column-sums.h).
//
// Why it is safe. Sums have a fixed order, so the same input gives the same bits. Tensors for the backward pass are saved through
// libtorch, which detects later writes to them. A second derivative is refused rather than wrong.
#include "attention-arguments.h"
#include "border.h"
#include "column-sums.h"
#include "cuda.h"
#include "operands.h"
#include "packed-attention.h"
#include "parallel.h"
#include "recording.h"
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
using namespace border;
using namespace loops;
using namespace parallel;
using namespace recording;
using packedAttention::Kept;

namespace {
namespace onCUDA {

int64_t widthOf(const Tensor &packed, int64_t heads) { return packed.size(2) / 3 / heads; }

/// Launches one block for each head of each sample.
void launch(const char *direction, const Tensor &packed, int64_t heads, int64_t threads, int64_t sharedBytes,
            const void *arguments) {
    static cuda::Program kernels("attention-cuda.h");
    kernels.launch(std::string("attention_") + direction + "_" + std::to_string(widthOf(packed, heads)),
                   packed.size(0) * heads, threads, arguments, packed.device(), sharedBytes);
}

PackedHeads sizesOf(const Tensor &packed, int64_t heads) {
    return {heads, packed.size(1), 1 / std::sqrt((float)widthOf(packed, heads))};
}

/// The statistics are the logarithm of the sum for each query, [B, H, N].
Kept allocate(const Tensor &packed, int64_t heads) {
    return {at::empty({packed.size(0), heads, packed.size(1)}, packed.options().dtype(at::kFloat)), Tensor()};
}

Tensor forward(const Tensor &packed, int64_t heads, const Kept &kept) {
    Tensor y = at::empty({packed.size(0), packed.size(1), packed.size(2) / 3}, packed.options());
    AttentionForwardArguments arguments{sizesOf(packed, heads), input<BFloat16>(packed), output<BFloat16>(y), output(kept.statistics)};
    launch("forward", packed, heads, attentionForwardThreads,
           attentionForwardBytes(packed.size(1), (int)widthOf(packed, heads)), &arguments);
    return y;
}

void backward(const Tensor &packed, int64_t heads, const Tensor &y, const Kept &kept, const Tensor &gradientY,
              const Tensor &gradientPacked) {
    Tensor sums = at::empty({packed.size(0), packed.size(2)}, packed.options().dtype(at::kFloat));
    AttentionBackwardArguments arguments{sizesOf(packed, heads), input<BFloat16>(packed), input<BFloat16>(y), input<BFloat16>(gradientY),
                                         input(kept.statistics), output<BFloat16>(gradientPacked), output(sums)};
    launch("backward", packed, heads, attentionBackwardThreads,
           attentionBackwardBytes(packed.size(1), (int)widthOf(packed, heads)), &arguments);
    ColumnSums::attach(gradientPacked, sums);
}

}  // namespace onCUDA

/// Computes y, [B, N, H d]. Fills `kept`.
Tensor attend(const Tensor &packed, int64_t heads, const Kept &kept) {
    return packed.is_cpu() ? packedAttention::forwardOnCPU(packed, heads, kept) : onCUDA::forward(packed, heads, kept);
}

struct PackedAttention : torch::autograd::Function<PackedAttention> {
    static Tensor forward(AutogradContext *context, Tensor packed, int64_t heads) {
        const Kept kept = packed.is_cpu() ? packedAttention::allocateOnCPU(packed, heads) : onCUDA::allocate(packed, heads);
        Tensor y = attend(packed, heads, kept);
        context->save_for_backward({packed, y, kept.statistics, kept.weights});
        context->saved_data["heads"] = heads;
        return y;
    }

    static variable_list backward(AutogradContext *context, variable_list outputs) {
        refuseSecondDerivative("attention");
        variable_list saved = context->get_saved_variables();
        const Tensor &packed = saved[0];
        Tensor gradientPacked = at::empty_like(packed);
        auto pass = packed.is_cpu() ? packedAttention::backwardOnCPU : onCUDA::backward;
        pass(packed, context->saved_data["heads"].toInt(), saved[1], {saved[2], saved[3]}, dense(outputs[0]), gradientPacked);
        return {gradientPacked, Tensor()};
    }
};

}  // namespace

bool ct_has_packed_attention(const ct_tensor *packed, int64_t heads) {
    const Tensor &t = view(packed);
    if (t.dim() != 3 || t.numel() == 0 || t.size(2) % (3 * heads) != 0) return false;
    const int64_t tokens = t.size(1), width = onCUDA::widthOf(t, heads);
    if (packedAttention::isOnCPU(t)) return tokens % 2 == 0 && width % 2 == 0;  // 16-bit numbers are multiplied in pairs
    if (!t.is_cuda() || t.scalar_type() != at::kBFloat16 || (width != 64 && width != 72)) return false;
    const bool isCountable = t.numel() / width < 1ll << 31;  // the kernels index heads with 32 bits
    return isCountable && tokens % 32 == 0 && tokens <= 256 &&
           attentionBackwardBytes(tokens, (int)width) <= cuda::sharedBytesOfBlock(t.device());
}

int32_t ct_packed_attention(const ct_tensor *packed, int64_t heads, ct_tensor **out) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::packed attention");
        Tensor in = dense(view(packed));
        *out = own(isRecorded({&in}) ? PackedAttention::apply(in, heads) : attend(in, heads, {}));
    });
}
