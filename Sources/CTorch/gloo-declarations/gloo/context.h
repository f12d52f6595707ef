// The parts of Gloo's headers that c10d's headers use and PyTorch's wheel lacks; the library itself is in libtorch_cpu.so.
#pragma once
#include <chrono>

namespace gloo {
struct Context {
    void setTimeout(std::chrono::milliseconds timeout);
};
}  // namespace gloo
