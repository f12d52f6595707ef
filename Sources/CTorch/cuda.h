// Kernels of our own on CUDA devices.
#pragma once
#include <c10/core/Device.h>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace cuda {

/// A program in CUDA C++, compiled for a device when it is first used there.
///
/// The compiler (NVRTC) comes with libtorch's CUDA part and the launcher with the driver. Both are opened at run time: neither
/// is needed to build, and a machine without them has none of this.
class Program {
  public:
    /// `headers` are the names and texts of what `text` includes.
    Program(std::string text, std::vector<std::pair<std::string, std::string>> headers)
        : text(std::move(text)), headers(std::move(headers)) {}

    /// Queues a kernel on the current stream of the device; `arguments` is its one parameter. Throws what the compiler or the
    /// driver says.
    void launch(const std::string &kernel, int64_t blocks, int64_t threads, const void *arguments, c10::Device device);

    /// Compiles it for a device, if that has not been done yet.
    void load(c10::Device device);

  private:
    std::string text;
    std::vector<std::pair<std::string, std::string>> headers;
    std::mutex mutex;
    std::map<int, void *> modules;  // by the number of the device
    std::map<std::pair<int, std::string>, void *> functions;

    void *module(int device);
};

}  // namespace cuda
