// Calls any operator of libtorch through the dispatcher with boxed arguments. That costs about 50 ns more than a typed call,
// which a training step does not notice, and a new operator needs no line of C++.
#include "border.h"
#include <ATen/core/dispatch/Dispatcher.h>
using namespace border;

namespace {
c10::Device device(int64_t kind, int32_t index) {
    auto type = kind == 0 ? c10::DeviceType::CPU : kind == 1 ? c10::DeviceType::CUDA : c10::DeviceType::Meta;
    return c10::Device(type, (c10::DeviceIndex)index);
}

c10::IValue boxed(const ct_value &v) {
    switch (v.kind) {
        case CT_NONE: return {};
        case CT_TENSOR: return view(v.value.tensor);
        case CT_INTEGER: return v.value.integer;
        case CT_NUMBER: return v.value.number;
        case CT_BOOLEAN: return v.value.integer != 0;
        case CT_TEXT: return std::string(v.value.text);
        case CT_INTEGERS: return c10::List<int64_t>(c10::IntArrayRef(v.value.integers, (size_t)v.count));
        case CT_TENSORS: {
            c10::List<at::Tensor> list;
            list.reserve((size_t)v.count);
            for (int32_t i = 0; i < v.count; i++) list.push_back(view(v.value.tensors[i]));
            return list;
        }
        case CT_DEVICE: return device(v.value.integer, v.count);
        default: TORCH_CHECK(false, "unknown kind of argument: ", v.kind);
    }
}

/// Collects the tensors of a result, including those in lists.
struct Results {
    ct_tensor **slots;
    int32_t capacity, produced = 0;

    void take(c10::IValue &&value) {
        if (value.isTensorList()) {
            for (at::Tensor tensor : value.toTensorVector()) add(std::move(tensor));
        } else if (value.isTensor()) {
            add(std::move(value).toTensor());
        }
    }
    void add(at::Tensor &&tensor) {
        TORCH_CHECK(produced < capacity, "more results than the caller has room for");
        slots[produced++] = own(std::move(tensor));
    }
};
}  // namespace

int32_t ct_find_operator(const char *name, const char *overload, ct_operator **out) {
    return guarded([&] {
        auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
        *out = reinterpret_cast<ct_operator *>(new c10::OperatorHandle(handle));
    });
}

int32_t ct_call(const ct_operator *op, const ct_value *arguments, int32_t count, ct_tensor **results,
                int32_t capacity, int32_t *produced) {
    Results out{results, capacity};
    int32_t status = guarded([&] {
        auto &handle = *reinterpret_cast<const c10::OperatorHandle *>(op);
        auto &parameters = handle.schema().arguments();
        TORCH_CHECK((size_t)count <= parameters.size(), "more arguments than ", handle.schema());
        torch::jit::Stack stack;
        stack.reserve(parameters.size());
        for (int32_t i = 0; i < count; i++) stack.push_back(boxed(arguments[i]));
        for (size_t i = (size_t)count; i < parameters.size(); i++) {
            auto value = parameters[i].default_value();
            TORCH_CHECK(value || parameters[i].type()->kind() == c10::TypeKind::OptionalType, "argument ",
                        parameters[i].name(), " is missing in a call of ", handle.schema());
            stack.push_back(value.value_or(c10::IValue()));
        }
        handle.callBoxed(stack);
        for (auto &value : stack) out.take(std::move(value));
    });
    if (status != 0) {
        for (int32_t i = 0; i < out.produced; i++) ct_release(results[i]);
        out.produced = 0;
    }
    *produced = out.produced;
    return status;
}
