// Attention on the CPU in tiles: softmax(scale q k^T) v, in float32 or bfloat16 with float32 sums. Its plain counterpart is
// libtorch's `scaled_dot_product_attention`.
//
// How it is fast. All scores of a tile of queries fit into the cache, so no running maximum is needed, and the output of one
// product can go straight into the next. Operands are packed once per head, where they cannot be multiplied as they lie; the
// products are those of blocks in the cache (block-product.cpp), and fetch the next head meanwhile. Queries, keys and values are
// read where the linear layer wrote them, and the result is written where the next one reads it. For up to 4 d tokens the weights
// are kept for the backward pass, which is a sixth faster then; for more, nothing of size N^2 is kept, and they are computed again
// from the scores and from the maximum and the sum of each query.
//
// Why it is safe. Each head is processed by one thread (parallel.h), so results do not depend on the number of threads. All
// arrays are allocated before the loops start. Saved tensors are saved through libtorch, which detects later writes to them. A
// second derivative is refused rather than wrong.
#include "attention.h"
#include "block-products.h"
#include "border.h"
#include "packed-attention.h"
#include "parallel.h"
#include "recording.h"
#include <ATen/ops/empty.h>
using namespace border;
using namespace loops;
using namespace parallel;
using namespace recording;
using packedAttention::Kept;

namespace {

/// A tensor [B, N, H, d] as the loops see it.
template <class T> Heads<T> heads(const Tensor &t) {
    using Plain = std::remove_const_t<T>;
    auto *data = const_cast<Plain *>(static_cast<const Plain *>(t.const_data_ptr()));
    return {data, t.stride(0), t.stride(1), t.stride(2)};
}

AttentionSizes sizesOf(const Tensor &q) {
    return {q.size(0), q.size(2), q.size(1), q.size(3), 1 / std::sqrt((float)q.size(3))};
}

Tensor withDenseRows(const Tensor &t) { return t.stride(-1) == 1 ? t : t.contiguous(); }

/// Runs a pass with a workspace for each thread.
template <class T, class Pass> void run(const Pass &pass, bool isBackward) {
    const int64_t spaceBytes = AttentionSpace<T>().layOut(pass.sizes, isBackward, nullptr);
    runWithSpace<T>(pass, spaceBytes, pass.sizes.units(), pass.sizes.elements());
}

/// Queries, keys and values, or their gradients, as [B, N, H, d].
struct Three {
    Tensor q, k, v;

    /// The three that lie side by side in [B, N, 3 H d].
    static Three packed(const Tensor &packed, int64_t heads) {
        variable_list parts = packed.view({packed.size(0), packed.size(1), 3, heads, packed.size(2) / 3 / heads}).unbind(2);
        return {parts[0], parts[1], parts[2]};
    }
};

template <class T> void forward(const Three &in, const Tensor &y, const Kept &kept) {
    run<T>(AttentionForward<T>{.sizes = sizesOf(in.q), .q = heads<const T>(in.q), .k = heads<const T>(in.k),
                               .v = heads<const T>(in.v), .y = heads<T>(y),
                               .statistics = reinterpret_cast<SoftmaxRow *>(output(kept.statistics)),
                               .kept = output<T>(kept.weights)}, false);
}

template <class T>
void backward(const Three &in, const Tensor &y, const Kept &kept, const Tensor &gradient, const Three &results) {
    run<T>(AttentionBackward<T>{.sizes = sizesOf(in.q), .q = heads<const T>(in.q), .k = heads<const T>(in.k),
                                .v = heads<const T>(in.v), .y = heads<const T>(y), .gradient = heads<const T>(gradient),
                                .statistics = reinterpret_cast<const SoftmaxRow *>(input(kept.statistics)),
                                .kept = input<T>(kept.weights),
                                .gradientQ = heads<T>(results.q), .gradientK = heads<T>(results.k),
                                .gradientV = heads<T>(results.v)}, true);
}

Kept allocate(const Tensor &q) {
    const AttentionSizes s = sizesOf(q);
    auto each = [&](int64_t numbers, at::ScalarType type) {
        return at::empty({s.samples, s.heads, s.tokens, numbers}, q.options().dtype(type));
    };
    return {each(2, at::kFloat), s.keepsWeights() && !isRecomputing ? each(s.tokens, q.scalar_type()) : Tensor()};
}

/// Computes attention, and fills `kept`.
Tensor attend(const Three &in, const Kept &kept) {
    Tensor y = at::empty(in.q.sizes(), in.q.options());
    in.q.scalar_type() == at::kFloat ? forward<float>(in, y, kept) : forward<HardwareBFloat16>(in, y, kept);
    return y;
}

void goBack(const Three &in, const Tensor &y, const Kept &kept, const Tensor &outgoing, const Three &results) {
    Tensor gradient = withDenseRows(outgoing);
    in.q.scalar_type() == at::kFloat ? backward<float>(in, y, kept, gradient, results)
                                     : backward<HardwareBFloat16>(in, y, kept, gradient, results);
}

struct Attention : torch::autograd::Function<Attention> {
    static Tensor forward(AutogradContext *context, Tensor q, Tensor k, Tensor v) {
        const Kept kept = allocate(q);
        Tensor y = attend({q, k, v}, kept);
        context->save_for_backward({q, k, v, y, kept.statistics, kept.weights});
        return y;
    }

    static variable_list backward(AutogradContext *context, variable_list outputs) {
        refuseSecondDerivative("attention");
        variable_list s = context->get_saved_variables();
        auto like = [&] { return at::empty(s[0].sizes(), s[0].options()); };
        Three results{like(), like(), like()};
        goBack({s[0], s[1], s[2]}, s[3], {s[4], s[5]}, outputs[0], results);
        return {results.q, results.k, results.v};
    }
};

}  // namespace

bool packedAttention::isOnCPU(const Tensor &q) {
    return hasBlockProducts(q);
}

bool ct_has_attention(const ct_tensor *q) { return packedAttention::isOnCPU(view(q)); }

int32_t ct_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, ct_tensor **out) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::attention");
        Tensor queries = withDenseRows(view(q)), keys = withDenseRows(view(k)), values = withDenseRows(view(v));
        *out = own(isRecorded({&queries, &keys, &values}) ? Attention::apply(queries, keys, values)
                                                          : attend({queries, keys, values}, {}));
    });
}

Kept packedAttention::allocateOnCPU(const Tensor &packed, int64_t heads) { return allocate(Three::packed(packed, heads).q); }

Tensor packedAttention::forwardOnCPU(const Tensor &packed, int64_t heads, const Kept &kept) {
    return attend(Three::packed(packed, heads), kept).flatten(2);
}

void packedAttention::backwardOnCPU(const Tensor &packed, int64_t heads, const Tensor &y, const Kept &kept,
                                    const Tensor &gradientY, const Tensor &gradientPacked) {
    const Three in = Three::packed(packed, heads);
    goBack(in, y.view(in.q.sizes()), kept, gradientY.view(in.q.sizes()), Three::packed(gradientPacked, heads));
}
