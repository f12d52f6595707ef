// Cooperating processes: c10d's key-value store, and groups over Gloo or NCCL.
#include "group.h"
#define USE_C10D_GLOO
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
using namespace border;

namespace {
/// Collectives are ended by the group's watch, not by a timeout of their own.
constexpr std::chrono::hours unbounded{24 * 365};

std::vector<uint8_t> bytes(const char *text) { return {text, text + strlen(text)}; }

std::chrono::milliseconds milliseconds(double seconds) { return std::chrono::milliseconds((int64_t)(1e3 * seconds)); }

thread_local std::string value;

/// Silences c10d's stack traces about broken connections; `RankWatch` reports them in one line.
void switchWarningsOff() {
    if (!getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = c10::GLOG_ERROR;
}

/// c10d's flight recorder logs each collective for post-mortems, which are not used here, and the groups of one process (in the
/// tests) would write to one map of it without a lock. It reads its size when the first group records.
void switchFlightRecorderOff() {
    static const int once = setenv("TORCH_FR_BUFFER_SIZE", "0", 0);
    (void)once;
}
}  // namespace

namespace border {
c10::intrusive_ptr<c10d::Work> beginSum(c10d::Backend &backend, const at::Tensor &tensor) {
    std::vector<at::Tensor> tensors{tensor};
    return backend.allreduce(tensors);
}
}  // namespace border

int32_t ct_store_open(const char *host, int32_t port, int32_t listening, const char *prefix, double timeout,
                      ct_store **out) {
    return guarded([&] {
        switchWarningsOff();
        c10d::TCPStoreOptions options;
        options.port = (uint16_t)port;
        options.isServer = listening >= 0;
        if (listening >= 0) options.masterListenFd = listening;
        options.waitWorkers = false;
        options.timeout = milliseconds(timeout);
        auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
        *out = new ct_store{c10::make_intrusive<c10d::PrefixStore>(prefix, store)};
    });
}

void ct_store_release(ct_store *store) { delete store; }

int32_t ct_store_set(const ct_store *store, const char *key, const char *text) {
    return guarded([&] { store->store->set(key, bytes(text)); });
}

int32_t ct_store_has(const ct_store *store, const char *key, bool *out) {
    return guarded([&] { *out = store->store->check({key}); });
}

int32_t ct_store_get(const ct_store *store, const char *key, const char **out) {
    return guarded([&] {
        std::vector<uint8_t> found = store->store->get(key);
        value.assign(found.begin(), found.end());
        *out = value.c_str();
    });
}

int32_t ct_group_gloo(const ct_store *store, int32_t rank, int32_t size, const char *address, const char *interface,
                      ct_group **out) {
    return guarded([&] {
        using Gloo = c10d::ProcessGroupGloo;
        switchFlightRecorderOff();
        auto options = Gloo::Options::create(unbounded);
        options->devices = {interface ? Gloo::createDeviceForInterface(interface) : Gloo::createDeviceForHostname(address)};
        *out = new ct_group{c10::make_intrusive<Gloo>(store->store, rank, size, options)};
    });
}

int32_t ct_group_nccl(const ct_store *store, int32_t rank, int32_t size, int32_t device, ct_group **out) {
    return guarded([&] { *out = new ct_group{makeNcclGroup(*store->store, rank, size, device)}; });
}

void ct_group_release(ct_group *group) { delete group; }

int32_t ct_group_sum(const ct_group *group, const ct_tensor *tensor) {
    return guarded([&] { beginSum(*group->backend, view(tensor))->wait(); });
}

int32_t ct_group_broadcast(const ct_group *group, const ct_tensor *tensor, int32_t root) {
    return guarded([&] {
        std::vector<at::Tensor> tensors{view(tensor)};
        c10d::BroadcastOptions options;
        options.rootRank = root;
        group->backend->broadcast(tensors, options)->wait();
    });
}

int32_t ct_group_gather(const ct_group *group, const ct_tensor *tensor, const ct_tensor *out) {
    return guarded([&] {
        std::vector<std::vector<at::Tensor>> rows{view(out).unbind()};
        std::vector<at::Tensor> own{view(tensor)};
        group->backend->allgather(rows, own)->wait();
    });
}
