// TorchScript files: programs named by the user and executed by libtorch's interpreter.
#include "border.h"
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>
#include <sstream>
using namespace border;

struct ct_script {
    torch::jit::Module module;
};

int32_t ct_script_load(const char *path, ct_script **out) {
    return guarded([&] {
        torch::jit::Module module = torch::jit::load(path, c10::Device(c10::kCPU));
        module.eval();
        *out = new ct_script{std::move(module)};
    });
}

void ct_script_release(ct_script *script) { delete script; }

bool ct_script_has(const ct_script *script, const char *method) { return script->module.find_method(method).has_value(); }

int32_t ct_script_run(ct_script *script, const char *method, const ct_tensor *input, ct_tensor **results,
                      int32_t capacity, int32_t *produced) {
    *produced = 0;
    return guarded([&] {
        // Runs the program unoptimised: the interpreter's own optimiser recompiles for each batch size.
        torch::jit::GraphOptimizerEnabledGuard plainly(false);
        c10::IValue result = script->module.get_method(method)({view(input)});
        std::vector<at::Tensor> tensors;
        if (result.isTensor()) {
            tensors.push_back(result.toTensor());
        } else {
            TORCH_CHECK(result.isTuple(), "it returns neither a tensor nor a tuple of tensors");
            for (const c10::IValue &part : result.toTuple()->elements()) {
                TORCH_CHECK(part.isTensor(), "it returns neither a tensor nor a tuple of tensors");
                tensors.push_back(part.toTensor());
            }
        }
        TORCH_CHECK((int32_t)tensors.size() <= capacity, "it returns ", tensors.size(), " tensors, more than ", capacity);
        for (at::Tensor &tensor : tensors) results[(*produced)++] = own(std::move(tensor));
    });
}

int32_t ct_script_write(const char *name, const char *source, const char *const *names,
                        const ct_tensor *const *tensors, int32_t count,
                        void (*receive)(void *context, const void *bytes, int64_t count), void *context) {
    return guarded([&] {
        torch::jit::Module module(name);
        for (int32_t index = 0; index < count; ++index)
            module.register_buffer(names[index], view(tensors[index]).detach().contiguous());
        module.define(source);
        module.eval();
        std::ostringstream stream;
        module.save(stream);
        const std::string bytes = stream.str();
        receive(context, bytes.data(), (int64_t)bytes.size());
    });
}
