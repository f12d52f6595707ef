// Sums gradients over a group in buckets while the backward pass is still running.
#include "group.h"
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
using namespace border;

/// The parameters in the order in which gradients arrive, in buckets of consecutive ones. All ranks start the sums of buckets in
/// this order, whichever are complete first: parameters that one rank does not reach may be reached by another.
struct ct_reducer {
    struct Bucket {
        size_t first, end;
        at::Tensor buffer;
        size_t missing = 0;
        c10::intrusive_ptr<c10d::Work> work;
    };

    c10::intrusive_ptr<c10d::Backend> backend;
    std::vector<at::Tensor> parameters;
    /// Each parameter's part of a bucket's buffer, in its shape.
    std::vector<at::Tensor> parts;
    std::vector<char> isCopied;
    std::vector<Bucket> buckets;
    std::vector<size_t> bucketOf;
    size_t nextBucket = 0;
    bool isArmed = false;
    std::exception_ptr failure;

    ct_reducer(c10::intrusive_ptr<c10d::Backend> group, std::vector<at::Tensor> all, int64_t firstBytes, int64_t bytes)
        : backend(std::move(group)), parameters(std::move(all)), parts(parameters.size()), isCopied(parameters.size()),
          bucketOf(parameters.size()) {
        for (size_t first = 0, end; first < parameters.size(); first = end) {
            int64_t limit = (buckets.empty() ? firstBytes : bytes) / 4, count = 0;
            for (end = first; end < parameters.size() && (end == first || count + parameters[end].numel() <= limit); end++)
                count += parameters[end].numel();
            addBucket(first, end, count);
        }
        for (size_t index = 0; index < parameters.size(); index++) {
            torch::autograd::impl::set_post_acc_grad_hooks(parameters[index], std::make_unique<Hook>(*this, index));
        }
    }

    ~ct_reducer() {
        // Unfinished sums hold their buffers themselves. After a failure they may never finish.
        for (auto &parameter : parameters) torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
    }

    /// Declares the next backward pass to be the last of this step.
    void arm() {
        nextBucket = 0;
        failure = nullptr;
        std::fill(isCopied.begin(), isCopied.end(), 0);
        for (auto &bucket : buckets) bucket.missing = bucket.end - bucket.first;
        isArmed = true;
    }

    /// Sums the remaining buckets, waits, and replaces the gradients by the sums.
    void finish() {
        isArmed = false;
        if (failure) std::rethrow_exception(failure);
        for (size_t index = 0; index < parameters.size(); index++)
            if (!isCopied[index]) copy(index);
        beginComplete();
        for (auto &bucket : buckets) {
            auto work = std::move(bucket.work);
            work->wait();
        }
        for (size_t index = 0; index < parameters.size(); index++) parameters[index].mutable_grad() = parts[index];
    }

  private:
    struct Hook : torch::autograd::PostAccumulateGradHook {
        ct_reducer &reducer;
        size_t index;
        Hook(ct_reducer &reducer, size_t index) : reducer(reducer), index(index) {}
        void operator()(const at::Tensor &) override { reducer.gradientCame(index); }
    };

    void addBucket(size_t first, size_t end, int64_t count) {
        Bucket bucket{first, end, at::zeros({count}, parameters[first].options().requires_grad(false)), 0, nullptr};
        int64_t offset = 0;
        for (size_t index = first; index < end; index++) {
            const auto &parameter = parameters[index];
            parts[index] = bucket.buffer.narrow(0, offset, parameter.numel()).view(parameter.sizes());
            bucketOf[index] = buckets.size();
            offset += parameter.numel();
        }
        buckets.push_back(std::move(bucket));
    }

    void gradientCame(size_t index) {
        if (!isArmed || failure || isCopied[index]) return;
        try {
            copy(index);
            beginComplete();
        } catch (...) {
            failure = std::current_exception();
        }
    }

    void copy(size_t index) {
        c10::NoGradGuard off;
        const at::Tensor &gradient = parameters[index].grad();
        if (gradient.defined()) {
            parts[index].copy_(gradient);
        } else {
            parts[index].zero_();
        }
        isCopied[index] = 1;
        buckets[bucketOf[index]].missing--;
    }

    void beginComplete() {
        for (; nextBucket < buckets.size() && buckets[nextBucket].missing == 0; nextBucket++)
            buckets[nextBucket].work = beginSum(*backend, buckets[nextBucket].buffer);
    }
};

int32_t ct_reducer_make(const ct_group *group, ct_tensor *const *parameters, int32_t count, int64_t firstBytes,
                        int64_t bytes, ct_reducer **out) {
    return guarded([&] {
        std::vector<at::Tensor> all;
        for (int32_t index = 0; index < count; index++) all.push_back(view(parameters[index]));
        *out = new ct_reducer(group->backend, std::move(all), firstBytes, bytes);
    });
}

void ct_reducer_release(ct_reducer *reducer) { delete reducer; }
void ct_reducer_arm(ct_reducer *reducer) { reducer->arm(); }

int32_t ct_reducer_finish(ct_reducer *reducer) {
    return guarded([&] { reducer->finish(); });
}
