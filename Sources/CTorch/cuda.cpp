// Compiles and launches kernels of our own through NVRTC and the driver's interface (cuda.h).
#include "cuda.h"
#include "ctorch.h"
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>
#include <filesystem>

namespace {

/// The functions that are used of a library, found by their names.
struct Library {
    Library(const std::vector<std::string> &paths) {
        for (const std::string &path : paths) {
            if ((handle = dlopen(path.c_str(), RTLD_NOW))) return;
        }
        TORCH_CHECK(false, paths.front(), " cannot be opened: ", dlerror());
    }

    template <class Function> void find(Function &function, const char *name) const {
        function = reinterpret_cast<Function>(dlsym(handle, name));
        TORCH_CHECK(function, "the library of CUDA has no ", name);
    }

  private:
    void *handle;
};

/// The driver. Devices are ints; contexts, modules and functions are pointers.
struct Driver {
    int (*getDevice)(int *device, int ordinal);
    int (*getAttribute)(int *value, int attribute, int device);
    int (*retainPrimaryContext)(void **context, int device);
    int (*getContext)(void **context);
    int (*setContext)(void *context);
    int (*loadModule)(void **module, const void *image);
    int (*getFunction)(void **function, void *module, const char *name);
    int (*launchKernel)(void *function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                        unsigned blockZ, unsigned sharedBytes, void *stream, void **parameters, void **extra);
    int (*getErrorString)(int error, const char **text);

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
        int device = 0, major = 0, minor = 0;
        check(getDevice(&device, ordinal));
        check(getAttribute(&major, 75, device));
        check(getAttribute(&minor, 76, device));
        return 10 * major + minor;
    }

    /// Makes the context that libtorch uses on a device that of this thread; a thread that autograd has just started has none.
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

  private:
    Driver() {
        Library library({"libcuda.so.1"});
        library.find(getDevice, "cuDeviceGet");
        library.find(getAttribute, "cuDeviceGetAttribute");
        library.find(retainPrimaryContext, "cuDevicePrimaryCtxRetain");
        library.find(getContext, "cuCtxGetCurrent");
        library.find(setContext, "cuCtxSetCurrent");
        library.find(loadModule, "cuModuleLoadData");
        library.find(getFunction, "cuModuleGetFunction");
        library.find(launchKernel, "cuLaunchKernel");
        library.find(getErrorString, "cuGetErrorString");
    }
};

/// The compiler.
struct Compiler {
    int (*create)(void **program, const char *text, const char *name, int headers, const char *const *headerTexts,
                  const char *const *headerNames);
    int (*compile)(void *program, int options, const char *const *optionTexts);
    int (*codeSize)(void *program, size_t *size);
    int (*code)(void *program, char *code);
    int (*logSize)(void *program, size_t *size);
    int (*log)(void *program, char *log);
    int (*destroy)(void **program);

    static const Compiler &shared() {
        static const Compiler compiler;
        return compiler;
    }

    /// Machine code for an architecture.
    std::string operator()(const std::string &text, const std::vector<std::pair<std::string, std::string>> &headers,
                           int architecture) const {
        std::vector<const char *> names, texts;
        for (const auto &[name, text] : headers) names.push_back(name.c_str()), texts.push_back(text.c_str());
        void *program = nullptr;
        TORCH_CHECK(create(&program, text.c_str(), "kernels.cu", (int)headers.size(), texts.data(), names.data()) == 0,
                    "NVRTC makes no program");
        const std::string target = "--gpu-architecture=sm_" + std::to_string(architecture);
        const char *options[] = {target.c_str(), "--std=c++17"};
        if (compile(program, 2, options) != 0) {
            std::string reason = filled(program, logSize, log);
            destroy(&program);
            TORCH_CHECK(false, "NVRTC: ", reason);
        }
        std::string result = filled(program, codeSize, code);
        destroy(&program);
        return result;
    }

  private:
    Compiler() {
        // Where pip puts it, beside the folder torch; else where the system finds it. What it opens itself, by name alone, has to
        // be there already.
        const auto folder = std::filesystem::path(ct_library_path()).parent_path() / "../../nvidia/cu13/lib";
        std::error_code ignored;
        for (const auto &file : std::filesystem::directory_iterator(folder, ignored))
            if (file.path().filename().string().starts_with("libnvrtc-builtins.so")) dlopen(file.path().c_str(), RTLD_NOW);
        Library library({folder / "libnvrtc.so.13", "libnvrtc.so.13"});
        library.find(create, "nvrtcCreateProgram");
        library.find(compile, "nvrtcCompileProgram");
        library.find(codeSize, "nvrtcGetCUBINSize");
        library.find(code, "nvrtcGetCUBIN");
        library.find(logSize, "nvrtcGetProgramLogSize");
        library.find(log, "nvrtcGetProgramLog");
        library.find(destroy, "nvrtcDestroyProgram");
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
        std::string code = Compiler::shared()(text, headers, Driver::shared().architecture(device));
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

void Program::launch(const std::string &kernel, int64_t blocks, int64_t threads, const void *arguments, c10::Device device) {
    const Driver &driver = Driver::shared();
    c10::DeviceGuard guard(device);
    driver.enter(device.index());
    void *function;
    {
        std::lock_guard lock(mutex);
        void *&known = functions[{device.index(), kernel}];
        if (!known) driver.check(driver.getFunction(&known, module(device.index()), kernel.c_str()));
        function = known;
    }
    auto *streams = c10::impl::getDeviceGuardImpl(c10::kCUDA);
    void *parameters[] = {const_cast<void *>(arguments)};
    driver.check(driver.launchKernel(function, (unsigned)blocks, 1, 1, (unsigned)threads, 1, 1, 0,
                                     streams->getStreamNativeHandle(streams->getStream(device)), parameters, nullptr));
}

}  // namespace cuda
