// Compiles and launches the program's own kernels through NVRTC and the driver API (cuda.h).
#include "cuda.h"
#include "ctorch.h"
#include "library.h"
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <filesystem>
using border::Library;

namespace {

/// The CUDA driver. Devices are ints; contexts, modules and functions are pointers.
struct Driver {
    Library library{{"libcuda.so.1"}};
    int (*getDevice)(int *device, int ordinal) = library["cuDeviceGet"];
    int (*getAttribute)(int *value, int attribute, int device) = library["cuDeviceGetAttribute"];
    int (*retainPrimaryContext)(void **context, int device) = library["cuDevicePrimaryCtxRetain"];
    int (*getContext)(void **context) = library["cuCtxGetCurrent"];
    int (*setContext)(void *context) = library["cuCtxSetCurrent"];
    int (*loadModule)(void **module, const void *image) = library["cuModuleLoadData"];
    int (*getFunction)(void **function, void *module, const char *name) = library["cuModuleGetFunction"];
    int (*setAttribute)(void *function, int attribute, int value) = library["cuFuncSetAttribute"];
    int (*launchKernel)(void *function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                        unsigned blockZ, unsigned sharedBytes, void *stream, void **parameters, void **extra) =
        library["cuLaunchKernel"];
    int (*getErrorString)(int error, const char **text) = library["cuGetErrorString"];

    static const Driver &shared() {
        static const Driver driver;
        return driver;
    }

    void check(int status) const {
        if (status == 0) return;
        const char *text = nullptr;
        getErrorString(status, &text);
        TORCH_CHECK(false, "CUDA: ", text ? text : "unknown error");
    }

    /// The number of the architecture: 90 for compute capability 9.0.
    int architecture(int ordinal) const {
        return 10 * attribute(75, ordinal) + attribute(76, ordinal);
    }

    int attribute(int number, int ordinal) const {
        int device = 0, value = 0;
        check(getDevice(&device, ordinal));
        check(getAttribute(&value, number, device));
        return value;
    }

    /// Makes libtorch's context on a device current in this thread; a thread that autograd has just started has none.
    void enter(int ordinal) const {
        void *current = nullptr;
        check(getContext(&current));
        static std::mutex mutex;
        static std::map<int, void *> contexts;
        std::lock_guard lock(mutex);
        void *&context = contexts[ordinal];
        if (!context) {
            int device = 0;
            check(getDevice(&device, ordinal));
            check(retainPrimaryContext(&context, device));
        }
        if (current != context) check(setContext(context));
    }
};

/// The NVRTC compiler.
struct Compiler {
    Library library = opened();
    int (*create)(void **program, const char *text, const char *name, int headers, const char *const *headerTexts,
                  const char *const *headerNames) = library["nvrtcCreateProgram"];
    int (*compile)(void *program, int options, const char *const *optionTexts) = library["nvrtcCompileProgram"];
    int (*codeSize)(void *program, size_t *size) = library["nvrtcGetCUBINSize"];
    int (*code)(void *program, char *code) = library["nvrtcGetCUBIN"];
    int (*logSize)(void *program, size_t *size) = library["nvrtcGetProgramLogSize"];
    int (*log)(void *program, char *log) = library["nvrtcGetProgramLog"];
    int (*destroy)(void **program) = library["nvrtcDestroyProgram"];

    static const Compiler &shared() {
        static const Compiler compiler;
        return compiler;
    }

    /// Compiles a source to machine code for an architecture.
    std::string operator()(const std::string &source, const std::vector<std::string> &options, int architecture) const {
        std::vector<const char *> names, texts;
        for (const auto &[name, text] : cuda::sources()) names.push_back(name.c_str()), texts.push_back(text);
        void *program = nullptr;
        TORCH_CHECK(create(&program, cuda::sources().at(source), source.c_str(), (int)names.size(), texts.data(),
                           names.data()) == 0,
                    "NVRTC makes no program");
        const std::string target = "--gpu-architecture=sm_" + std::to_string(architecture);
        std::vector<const char *> all{target.c_str(), "--std=c++17"};
        for (const std::string &option : options) all.push_back(option.c_str());
        if (compile(program, (int)all.size(), all.data()) != 0) {
            std::string reason = filled(program, logSize, log);
            destroy(&program);
            TORCH_CHECK(false, "NVRTC: ", reason);
        }
        std::string result = filled(program, codeSize, code);
        destroy(&program);
        return result;
    }

  private:
    /// Opens NVRTC from where pip installs it, beside the folder torch, or else from where the system finds it. Libraries that it
    /// opens itself, by name alone, must already be loaded.
    static Library opened() {
        const auto folder = std::filesystem::path(ct_library_path()).parent_path() / "../../nvidia/cu13/lib";
        std::error_code ignored;
        for (const auto &file : std::filesystem::directory_iterator(folder, ignored))
            if (file.path().filename().string().starts_with("libnvrtc-builtins.so")) dlopen(file.path().c_str(), RTLD_NOW);
        return Library({folder / "libnvrtc.so.13", "libnvrtc.so.13"});
    }

    static std::string filled(void *program, int (*size)(void *, size_t *), int (*fill)(void *, char *)) {
        size_t count = 0;
        TORCH_CHECK(size(program, &count) == 0, "NVRTC does not say the size of its result");
        std::string text(count, 0);
        TORCH_CHECK(fill(program, text.data()) == 0, "NVRTC does not give its result");
        return text;
    }
};

}  // namespace

namespace cuda {

void *Program::module(int device) {
    void *&module = modules[device];
    if (!module) {
        std::string code = Compiler::shared()(source, options, Driver::shared().architecture(device));
        Driver::shared().check(Driver::shared().loadModule(&module, code.data()));
    }
    return module;
}

void Program::load(c10::Device device) {
    c10::DeviceGuard guard(device);
    Driver::shared().enter(device.index());
    std::lock_guard lock(mutex);
    module(device.index());
}

void Program::launch(const std::string &kernel, int64_t blocks, int64_t threads, const void *arguments, c10::Device device,
                     int64_t sharedBytes) {
    const Driver &driver = Driver::shared();
    c10::DeviceGuard guard(device);
    driver.enter(device.index());
    void *function;
    {
        std::lock_guard lock(mutex);
        void *&known = functions[{device.index(), kernel}];
        if (!known) driver.check(driver.getFunction(&known, module(device.index()), kernel.c_str()));
        function = known;
        if (sharedBytes > 48 << 10) {  // allowed without an attribute
            constexpr int mostSharedBytes = 8, sharedPercent = 9;  // attributes; the L1 cache of a multiprocessor gets the rest
            driver.check(driver.setAttribute(function, mostSharedBytes, (int)sharedBytes));
            driver.check(driver.setAttribute(function, sharedPercent, 100));
        }
    }
    auto *streams = c10::impl::getDeviceGuardImpl(c10::kCUDA);
    void *parameters[] = {const_cast<void *>(arguments)};
    driver.check(driver.launchKernel(function, (unsigned)blocks, 1, 1, (unsigned)threads, 1, 1, (unsigned)sharedBytes,
                                     streams->getStreamNativeHandle(streams->getStream(device)), parameters, nullptr));
}

int64_t sharedBytesOfBlock(c10::Device device) {
    constexpr int mostBytes = 97;  // the attribute that a kernel needs to use more than 48 KB
    return Driver::shared().attribute(mostBytes, device.index());
}

}  // namespace cuda
