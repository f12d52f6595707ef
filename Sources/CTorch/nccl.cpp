// A group over NCCL, whose library comes with libtorch's CUDA part and is opened at run time: neither its header nor CUDA's is
// needed to build.
#include "group.h"
#include "library.h"
#include <c10/core/Event.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace {
struct UniqueId {
    char bytes[128];
};

/// The functions of nccl.h that are used, declared with types of the same layout.
struct Nccl {
    border::Library library{{"libnccl.so.2"}};
    int (*getUniqueId)(UniqueId *) = library["ncclGetUniqueId"];
    int (*commInitRank)(void **comm, int size, UniqueId, int rank) = library["ncclCommInitRank"];
    int (*commAbort)(void *comm) = library["ncclCommAbort"];
    int (*allReduce)(const void *in, void *out, size_t count, int type, int operation, void *comm, void *stream) =
        library["ncclAllReduce"];
    int (*broadcast)(const void *in, void *out, size_t count, int type, int root, void *comm, void *stream) =
        library["ncclBroadcast"];
    int (*allGather)(const void *in, void *out, size_t count, int type, void *comm, void *stream) =
        library["ncclAllGather"];
    const char *(*getErrorString)(int) = library["ncclGetErrorString"];

    static const Nccl &shared() {
        static const Nccl nccl;
        return nccl;
    }

    void check(int status) const { TORCH_CHECK(status == 0, "NCCL: ", getErrorString(status)); }
};

/// The ncclDataType_t of an element type.
int typeNumber(c10::ScalarType type) {
    switch (type) {
    case c10::kChar: return 0;
    case c10::kByte: return 1;
    case c10::kInt: return 2;
    case c10::kLong: return 4;
    case c10::kHalf: return 6;
    case c10::kFloat: return 7;
    case c10::kDouble: return 8;
    case c10::kBFloat16: return 9;
    default: TORCH_CHECK(false, "NCCL has no type ", type);
    }
}

/// Work that is done when its event is; the stream waits for it, not the host.
class NcclWork : public c10d::Work {
  public:
    explicit NcclWork(c10::Event event) : event(std::move(event)) {}
    bool wait(std::chrono::milliseconds) override {
        event.block(c10::impl::getDeviceGuardImpl(c10::kCUDA)->getStream(event.device()));
        return true;
    }

  private:
    c10::Event event;
};

/// A group whose operations run on a stream of their own beside the computation, in the order in which they are started.
class NcclGroup : public c10d::Backend {
  public:
    NcclGroup(c10d::Store &store, int rank, int size, int index)
        : Backend(rank, size), nccl(Nccl::shared()), device(c10::kCUDA, (c10::DeviceIndex)index),
          cuda(c10::impl::getDeviceGuardImpl(c10::kCUDA)), stream(cuda->getStreamFromGlobalPool(device, true)) {
        UniqueId id{};
        if (rank == 0) {
            nccl.check(nccl.getUniqueId(&id));
            store.set("nccl", std::vector<uint8_t>(id.bytes, id.bytes + sizeof id.bytes));
        }
        std::vector<uint8_t> shared = store.get("nccl");
        TORCH_CHECK(shared.size() == sizeof id.bytes, "the identity of the NCCL group is ", shared.size(), " bytes");
        memcpy(id.bytes, shared.data(), sizeof id.bytes);
        cuda->setDevice(device);
        nccl.check(nccl.commInitRank(&comm, size, id, rank));
    }

    ~NcclGroup() override {
        if (comm) nccl.commAbort(comm);
    }

    const std::string getBackendName() const override { return "nccl"; }

    c10::intrusive_ptr<c10d::Work> allreduce(
        std::vector<at::Tensor> &tensors, const c10d::AllreduceOptions &) override {
        const at::Tensor &t = tensors[0];
        return run([&](void *s) {
            return nccl.allReduce(t.data_ptr(), t.data_ptr(), (size_t)t.numel(), typeNumber(t.scalar_type()), 0, comm, s);
        });
    }

    c10::intrusive_ptr<c10d::Work> broadcast(
        std::vector<at::Tensor> &tensors, const c10d::BroadcastOptions &options) override {
        const at::Tensor &t = tensors[0];
        return run([&](void *s) {
            return nccl.broadcast(t.data_ptr(), t.data_ptr(), (size_t)t.numel(), typeNumber(t.scalar_type()),
                                  (int)options.rootRank, comm, s);
        });
    }

    /// The rows of the output lie one after another.
    c10::intrusive_ptr<c10d::Work> allgather(
        std::vector<std::vector<at::Tensor>> &rows, std::vector<at::Tensor> &own, const c10d::AllgatherOptions &) override {
        const at::Tensor &t = own[0];
        return run([&](void *s) {
            return nccl.allGather(t.data_ptr(), rows[0][0].data_ptr(), (size_t)t.numel(), typeNumber(t.scalar_type()), comm,
                                  s);
        });
    }

  private:
    const Nccl &nccl;
    c10::Device device;
    const c10::impl::DeviceGuardImplInterface *cuda;
    c10::Stream stream;
    void *comm = nullptr;

    /// Starts an operation that runs after everything queued on the current stream so far.
    template <class Operation> c10::intrusive_ptr<c10d::Work> run(Operation &&operation) {
        c10::Event before(c10::kCUDA), after(c10::kCUDA);
        before.record(cuda->getStream(device));
        before.block(stream);
        nccl.check(operation(cuda->getStreamNativeHandle(stream)));
        after.record(stream);
        return c10::make_intrusive<NcclWork>(std::move(after));
    }
};
}  // namespace

namespace border {
c10::intrusive_ptr<c10d::Backend> makeNcclGroup(c10d::Store &store, int rank, int size, int device) {
    return c10::make_intrusive<NcclGroup>(store, rank, size, device);
}
}  // namespace border
