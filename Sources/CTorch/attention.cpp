// Attention of the CPU in tiles: softmax(scale q k^T) v, in float32 or bfloat16 with float32 sums. Its plain twin is
// libtorch's `scaled_dot_product_attention`.
//
// What is clever. All scores of some queries fit into the cache, so that no running maximum is needed, and what comes out of
// one product is ready to go into the next: operands are packed once a head, in the order in which processors multiply
// bfloat16, and the products are those of oneDNN for blocks in the cache. Queries, keys and values are read where the linear
// layer has written them, and the result is written where the next one reads it. Nothing of the size N^2 is kept for the
// backward pass, which computes the weights anew, in one reading of the scores, from the maximum and the sum of each query.
//
// Why it is safe. Heads are shared out whole (parallel.h), so that results do not depend on the number of threads. Every
// array is made before the loops start; what a product throws all the same is thrown again when all threads are done.
// Saved tensors are saved through libtorch, which notices when somebody has written to them since. A second derivative is
// refused, not wrong.
#include "attention.h"
#include "border.h"
#include "parallel.h"
#include "recording.h"
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>
using namespace border;
using namespace loops;
using namespace parallel;
using namespace recording;

namespace {

/// The first failure of a product in any thread.
struct Failure {
    std::atomic_flag isThere;
    std::exception_ptr exception;
};

template <class T> using Element = std::conditional_t<std::is_same_v<T, float>, float, at::BFloat16>;

template <class T>
void multiply(void *failure, int64_t m, int64_t n, int64_t k, int64_t lda, bool isSum, const T *a, const T *b, float *c) {
    try {
        at::native::cpublas::brgemm(m, n, k, lda, n, n, isSum, reinterpret_cast<const Element<T> *>(a),
                                    reinterpret_cast<const Element<T> *>(b), c, pairing<T> == 2);
    } catch (...) {
        auto &first = *static_cast<Failure *>(failure);
        if (!first.isThere.test_and_set()) first.exception = std::current_exception();
    }
}

/// [B, N, H, d] as the loops see it.
template <class T> Heads<T> heads(const Tensor &t) {
    using Plain = std::remove_const_t<T>;
    auto *data = const_cast<Plain *>(static_cast<const Plain *>(t.const_data_ptr()));
    return {data, t.stride(0), t.stride(1), t.stride(2)};
}

AttentionSizes sizesOf(const Tensor &q) {
    return {q.size(0), q.size(2), q.size(1), q.size(3), 1 / std::sqrt((float)q.size(3))};
}

Tensor withDenseRows(const Tensor &t) { return t.stride(-1) == 1 ? t : t.contiguous(); }

/// Runs a pass with a working space for each thread.
template <class T, class Pass> void run(Pass pass, bool isBackward) {
    pass.spaceBytes = AttentionSpace<T>().layOut(pass.sizes, isBackward, nullptr);
    Tensor space = at::empty({at::get_num_threads() * pass.spaceBytes + 64}, at::kByte);
    auto address = reinterpret_cast<uintptr_t>(space.mutable_data_ptr());
    pass.space = reinterpret_cast<char *>((address + 63) / 64 * 64);
    Failure failure;
    pass.product = {multiply<T>, &failure};
    pass.thread = omp_get_thread_num;
    parallel::run(pass, pass.sizes.units(), pass.sizes.elements());
    if (failure.exception) std::rethrow_exception(failure.exception);
}

template <class T> Tensor forward(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor &statistics) {
    Tensor y = at::empty(q.sizes(), q.options());
    run<T>(AttentionForward<T>{.sizes = sizesOf(q), .q = heads<const T>(q), .k = heads<const T>(k),
                               .v = heads<const T>(v), .y = heads<T>(y),
                               .statistics = reinterpret_cast<SoftmaxRow *>(output(statistics))}, false);
    return y;
}

template <class T> variable_list backward(const variable_list &saved, const Tensor &gradient) {
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2], &y = saved[3], &statistics = saved[4];
    variable_list results;
    for (int i = 0; i < 3; i++) results.push_back(at::empty(q.sizes(), q.options()));
    run<T>(AttentionBackward<T>{.sizes = sizesOf(q), .q = heads<const T>(q), .k = heads<const T>(k),
                                .v = heads<const T>(v), .y = heads<const T>(y), .gradient = heads<const T>(gradient),
                                .statistics = reinterpret_cast<const SoftmaxRow *>(input(statistics)),
                                .gradientQ = heads<T>(results[0]), .gradientK = heads<T>(results[1]),
                                .gradientV = heads<T>(results[2])}, true);
    return results;
}

/// Fills `statistics`, [B, H, N, 2], unless it is undefined.
Tensor attend(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor &statistics) {
    return q.scalar_type() == at::kFloat ? forward<float>(q, k, v, statistics) : forward<Half>(q, k, v, statistics);
}

struct Attention : torch::autograd::Function<Attention> {
    static Tensor forward(AutogradContext *context, Tensor q, Tensor k, Tensor v) {
        Tensor statistics = at::empty({q.size(0), q.size(2), q.size(1), 2}, q.options().dtype(at::kFloat));
        Tensor y = attend(q, k, v, statistics);
        context->save_for_backward({q, k, v, y, statistics});
        return y;
    }

    static variable_list backward(AutogradContext *context, variable_list outputs) {
        refuseSecondDerivative("attention");
        variable_list s = context->get_saved_variables();
        Tensor gradient = withDenseRows(outputs[0]);
        return s[0].scalar_type() == at::kFloat ? ::backward<float>(s, gradient) : ::backward<Half>(s, gradient);
    }
};

}  // namespace

bool ct_has_attention(const ct_tensor *q) {
    static const bool isWide = std::string_view(ct_cpu_capability()).starts_with("AVX512");
    static const bool hasHalves = isWide && __builtin_cpu_supports("avx512bf16");
    auto type = view(q).scalar_type();
    return type == at::kFloat ? isWide : type == at::kBFloat16 && hasHalves;
}

int32_t ct_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, ct_tensor **out) {
    return guarded([&] {
        RECORD_USER_SCOPE("transcend::attention");
        Tensor queries = withDenseRows(view(q)), keys = withDenseRows(view(k)), values = withDenseRows(view(v));
        *out = own(isRecorded({&queries, &keys, &values}) ? Attention::apply(queries, keys, values)
                                                          : attend(queries, keys, values, Tensor()));
    });
}
