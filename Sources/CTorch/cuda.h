// Kernels of our own on CUDA devices.
#pragma once
#include <c10/core/Device.h>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace cuda {

/// The texts of programs and of what they include, by name (cuda-sources.cpp).
const std::map<std::string, const char *> &sources();

/// A program in CUDA C++, compiled for a device when it is first used there.
///
/// The compiler (NVRTC) comes with libtorch's CUDA part and the launcher with the driver. Both are opened at run time: neither
/// is needed to build, and a machine without them has none of this.
class Program {
  public:
    /// `source` is the name of its text, `options` what the compiler is told besides.
    explicit Program(std::string source, std::vector<std::string> options = {})
        : source(std::move(source)), options(std::move(options)) {}

    /// Queues a kernel on the current stream of the device; `arguments` is its one parameter, and `sharedBytes` of memory are
    /// what the threads of a block share besides what the kernel declares. Throws what the compiler or the driver says.
    void launch(const std::string &kernel, int64_t blocks, int64_t threads, const void *arguments, c10::Device device,
                int64_t sharedBytes = 0);

    /// Compiles it for a device, if that has not been done yet.
    void load(c10::Device device);

  private:
    std::string source;
    std::vector<std::string> options;
    std::mutex mutex;
    std::map<int, void *> modules;  // by the number of the device
    std::map<std::pair<int, std::string>, void *> functions;

    void *module(int device);
};

/// The most memory that the threads of a block may share on a device.
int64_t sharedBytesOfBlock(c10::Device device);

}  // namespace cuda
