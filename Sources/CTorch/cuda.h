// The program's own kernels on CUDA devices.
#pragma once
#include <c10/core/Device.h>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace cuda {

/// The sources of programs and of the headers they include, by name (cuda-sources.cpp).
const std::map<std::string, const char *> &sources();

/// A program in CUDA C++, compiled for a device on first use there.
///
/// The compiler (NVRTC) comes with libtorch's CUDA part, the launcher with the driver. Both are opened at run time: neither is
/// needed to build, and a machine without them simply has none of this.
class Program {
  public:
    /// `source` is the name of its source, `options` are extra compiler options.
    explicit Program(std::string source, std::vector<std::string> options = {})
        : source(std::move(source)), options(std::move(options)) {}

    /// Queues a kernel on the device's current stream; `arguments` is its one parameter, and `sharedBytes` is the dynamic shared
    /// memory of a block. Throws the compiler's or the driver's message.
    void launch(const std::string &kernel, int64_t blocks, int64_t threads, const void *arguments, c10::Device device,
                int64_t sharedBytes = 0);

    /// Compiles it for a device, unless that has been done already.
    void load(c10::Device device);

  private:
    std::string source;
    std::vector<std::string> options;
    std::mutex mutex;
    std::map<int, void *> modules;  // by device ordinal
    std::map<std::pair<int, std::string>, void *> functions;

    void *module(int device);
};

/// The maximum shared memory per block on a device.
int64_t sharedBytesOfBlock(c10::Device device);

}  // namespace cuda
