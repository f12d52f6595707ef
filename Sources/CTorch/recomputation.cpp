// Parts of a network of which only the inputs are kept; the backward pass recomputes the rest (activation checkpointing, Chen et
// al. 2016, "Training deep nets with sublinear memory cost").
//
// Why it is safe. The part is computed twice from the same inputs, so it must be a function of them and of parameters that do not
// change until the backward pass is over; libtorch detects writes to an input. Its parameters get their gradients from a backward
// pass inside the outer one, which libtorch allows. A second derivative is refused rather than wrong.
#include "border.h"
#include "recording.h"
#include <c10/core/GradMode.h>
#include <cstdlib>
#include <memory>
#include <torch/csrc/autograd/autograd.h>
using namespace border;
using namespace recording;

namespace {

/// The caller's function, kept as long as a backward pass may follow.
struct Segment : torch::CustomClassHolder {
    ct_segment function;
    void *context;
    void (*release)(void *);
    variable_list outputs;  // of the first run, until the graph holds them

    Segment(ct_segment function, void *context, void (*release)(void *))
        : function(function), context(context), release(release) {}
    ~Segment() override { release(context); }

    variable_list operator()(const variable_list &inputs, size_t count) const {
        std::vector<ct_tensor *> handles;
        for (const Tensor &input : inputs) handles.push_back(own(Tensor(input)));
        std::vector<ct_tensor *> results(count);
        if (char *reason = function(context, handles.data(), results.data())) {
            std::string text = reason;
            free(reason);
            TORCH_CHECK(false, text);
        }
        variable_list outputs;
        for (ct_tensor *result : results) {
            outputs.push_back(view(result));
            ct_release(result);
        }
        return outputs;
    }
};

struct Recomputing {
    Recomputing() { isRecomputing = true; }
    ~Recomputing() { isRecomputing = false; }
};

struct Recomputed : torch::autograd::Function<Recomputed> {
    static variable_list forward(AutogradContext *context, c10::intrusive_ptr<Segment> segment, at::TensorList inputs) {
        context->save_for_backward(inputs.vec());
        context->saved_data["segment"] = c10::IValue::make_capsule(segment);
        context->saved_data["outputs"] = (int64_t)segment->outputs.size();
        return std::move(segment->outputs);
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        refuseSecondDerivative("recomputation");
        variable_list inputs;
        for (const Tensor &input : context->get_saved_variables())
            inputs.push_back(input.detach().set_requires_grad(input.requires_grad()));
        auto capsule = context->saved_data["segment"].toCapsule();
        const auto &segment = static_cast<const Segment &>(*capsule);
        variable_list reached, incoming;
        {
            at::AutoGradMode recorded(true);
            const Recomputing recomputing;
            variable_list outputs = segment(inputs, (size_t)context->saved_data["outputs"].toInt());
            for (size_t i = 0; i < outputs.size(); i++)
                if (outputs[i].requires_grad()) reached.push_back(outputs[i]), incoming.push_back(gradients[i]);
        }
        torch::autograd::backward(reached, incoming);
        variable_list results{Tensor()};  // the gradient of the segment itself
        for (const Tensor &input : inputs) results.push_back(input.grad());
        return results;
    }
};

}  // namespace

int32_t ct_recomputed(ct_segment function, void *context, void (*release)(void *context), ct_tensor *const *inputs,
                      int32_t input_count, ct_tensor *const *computed, int32_t output_count, ct_tensor **outputs) {
    auto segment = c10::make_intrusive<Segment>(function, context, release);
    return guarded([&] {
        variable_list all;
        for (int32_t i = 0; i < input_count; i++) all.push_back(view(inputs[i]));
        // As tensors with no other owner, so that they can become results of this function.
        for (int32_t i = 0; i < output_count; i++) segment->outputs.push_back(view(computed[i]).variable_data());
        variable_list results = Recomputed::apply(segment, at::TensorList(all));
        for (int32_t i = 0; i < output_count; i++) outputs[i] = own(std::move(results[(size_t)i]));
    });
}
