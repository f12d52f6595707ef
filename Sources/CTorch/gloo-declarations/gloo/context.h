// What c10d's headers use of Gloo's, which the wheel of PyTorch lacks; the library itself is in libtorch_cpu.so.
#pragma once
#include <chrono>

namespace gloo {
struct Context {
    void setTimeout(std::chrono::milliseconds timeout);
};
}  // namespace gloo
