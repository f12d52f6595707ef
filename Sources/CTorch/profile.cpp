// Where the time of a computation goes: how often each operator ran, and its own time, excluding the operators that it called.
// libtorch reports when one begins and ends; the program's own kernels do so too. On CUDA the device is synchronised at both
// ends, since otherwise only the queuing would be measured.
#include "border.h"
#include <ATen/record_function.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <chrono>
#include <map>
#include <mutex>
using namespace border;

namespace {

using Clock = std::chrono::steady_clock;

struct Total {
    int64_t calls = 0;
    double seconds = 0;
};

std::mutex mutex;
std::map<std::string, Total> totals;
std::optional<at::CallbackHandle> callback;
std::optional<c10::DeviceIndex> cudaDevice;

void waitForDevice() {
    if (cudaDevice) c10::impl::getDeviceGuardImpl(c10::kCUDA)->synchronizeDevice(*cudaDevice);
}

/// A running operator, and the time taken so far by those that it called.
struct Running : at::ObserverContext {
    Clock::time_point start = Clock::now();
    double inner = 0;
    Running *caller;

    explicit Running(Running *caller) : caller(caller) {}
};

thread_local Running *running = nullptr;

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction &) {
    waitForDevice();
    auto context = std::make_unique<Running>(running);
    running = context.get();
    return context;
}

void end(const at::RecordFunction &function, at::ObserverContext *context) {
    waitForDevice();
    auto *ended = static_cast<Running *>(context);
    const double seconds = std::chrono::duration<double>(Clock::now() - ended->start).count();
    running = ended->caller;
    if (running) running->inner += seconds;
    std::lock_guard lock(mutex);
    Total &total = totals[function.name()];
    total.calls++;
    total.seconds += seconds - ended->inner;
}

}  // namespace

int32_t ct_profile_begin(int32_t cuda_device) {
    return guarded([&] {
        TORCH_CHECK(!callback, "a profile is being taken already");
        totals.clear();
        cudaDevice = cuda_device < 0 ? std::nullopt : std::optional((c10::DeviceIndex)cuda_device);
        callback = at::addGlobalCallback(at::RecordFunctionCallback(begin, end));
    });
}

int32_t ct_profile_end(void (*receive)(void *context, const char *name, int64_t calls, double seconds), void *context) {
    return guarded([&] {
        TORCH_CHECK(callback, "no profile is being taken");
        at::removeCallback(*callback);
        callback.reset();
        std::lock_guard lock(mutex);
        for (const auto &[name, total] : totals) receive(context, name.c_str(), total.calls, total.seconds);
    });
}
