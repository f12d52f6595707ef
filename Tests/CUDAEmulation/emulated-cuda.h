// The words of CUDA C++ that the kernels use, for the CPU: slow, and good to see what they compute where there is no GPU.
//
// Blocks run one after another. A thread of a block is a context (ucontext.h) that runs until it waits for others. Who goes on
// then is drawn, and a warp that is drawn stays behind as long as others can go on, so that a missing barrier shows in the
// results; a failure comes again, since draws are always the same. It is checked that the lanes of a warp are at the same
// instruction, and that nobody waits for those who never come.
//
// Under -fsanitize=thread contexts count as threads, which only barriers and the instructions of a warp bring into an order:
// what two of them use without one is found whatever was drawn (Tests/Long/emulation.sh).
#pragma once
#include "../../Sources/CTorch/numbers.h"
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <ucontext.h>
#include <vector>
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#define __device__
#define __global__
#define __shared__ static thread_local
#define __launch_bounds__(...)
#define threadIdx emulated::current().index
#define blockIdx emulated::block->index
#define blockDim emulated::block->size

namespace emulated {

struct Index {
    unsigned x;
};

/// A stack with its registers; to the sanitizer, a thread.
class Context {
  public:
    /// The one that runs.
    Context() {
#ifdef __SANITIZE_THREAD__
        fiber = __tsan_get_current_fiber();
#endif
    }

    /// One that will begin with `entry`, which must not return.
    explicit Context(void (*entry)()) : stack(new char[stackBytes]) {
        getcontext(&context);
        context.uc_stack.ss_sp = stack.get(), context.uc_stack.ss_size = stackBytes;
        makecontext(&context, entry, 0);
#ifdef __SANITIZE_THREAD__
        fiber = __tsan_create_fiber(0);
#endif
    }

    ~Context() {
#ifdef __SANITIZE_THREAD__
        if (stack) __tsan_destroy_fiber(fiber);
#endif
    }
    Context(const Context &) = delete;

    /// Leaves this one and goes on with another. With `isOrdered` that one sees what has been done here.
    void leaveFor(Context &other, bool isOrdered) {
#ifdef __SANITIZE_THREAD__
        __tsan_switch_to_fiber(other.fiber, isOrdered ? 0 : __tsan_switch_to_fiber_no_sync);
#endif
        (void)isOrdered;
        swapcontext(&context, &other.context);
    }

  private:
    static constexpr size_t stackBytes = 128 << 10;
    std::unique_ptr<char[]> stack;
    ucontext_t context{};
#ifdef __SANITIZE_THREAD__
    void *fiber;
#endif
};

/// 16 bytes that are on their way into shared memory.
struct Copy {
    loops::BFloat16 *to;
    const loops::BFloat16 *from;
};

struct Thread {
    Index index;
    std::function<void()> body;
    unsigned exchanges = 0;
    std::vector<Copy> copies;  // that have not been waited for
    std::atomic<bool> isDone = false;
    Context context{enter};

    static void enter();
};

/// A place where threads wait until all of them have come. Its atomics are what orders them, for the sanitizer too.
class Meeting {
  public:
    explicit Meeting(unsigned members) : members(members) {}
    void join();

  private:
    const unsigned members;
    std::atomic<unsigned> count = 0, turn = 0;
};

enum class Instruction { synchronize, shuffle, load, loadTransposed, multiply16, multiply8 };

/// What a lane brings to an instruction of its warp.
struct Held {
    Instruction instruction;
    const loops::BFloat16 *row = nullptr;
    unsigned words[6] = {};
    float number = 0;
};

struct Warp {
    Meeting meeting{32};
    Held held[2][32];
};

/// The running block.
struct Block {
    Index index, size;
    Meeting all;
    std::vector<Warp> warps;
    std::vector<Thread> threads;
    std::unique_ptr<loops::BFloat16, void (*)(loops::BFloat16 *)> memory;
    long long bytes;
    std::atomic<bool> isMoving = false;  // has somebody come somewhere since it was last looked at?
    std::string problem;
    Context scheduler;

    Block(unsigned index, unsigned size, long long bytes)
        : index{index}, size{size}, all(size), warps(size / 32), threads(size),
          memory(static_cast<loops::BFloat16 *>(operator new((size_t)bytes, alignment)),
                 [](loops::BFloat16 *memory) { operator delete(memory, alignment); }),
          bytes(bytes) {
        std::memset(memory.get(), 0xFF, (size_t)bytes);  // not a number
    }

    /// Runs all threads to their ends.
    void run();

  private:
    static constexpr std::align_val_t alignment{128};
    void resume(Thread &thread, bool isOrdered);
};
inline thread_local Block *block;
inline thread_local std::atomic<Thread *> running;  // atomic for the sanitizer's sake

inline Thread &current() { return *running.load(std::memory_order_relaxed); }

/// Lets others go on.
inline void pause() { current().context.leaveFor(block->scheduler, false); }

/// Ends the block with an error; its threads stay where they are.
[[noreturn]] inline void fail(const std::string &reason) {
    block->problem = "block " + std::to_string(blockIdx.x) + ", thread " + std::to_string(threadIdx.x) + ": " + reason;
    for (;;) pause();
}

inline void Thread::enter() {
    current().body();
    if (!current().copies.empty()) fail("copies that nobody has waited for");
    block->isMoving.store(true, std::memory_order_relaxed);
    current().isDone.store(true, std::memory_order_relaxed);
    pause();
    current().context.leaveFor(block->scheduler, true);
}

inline void Meeting::join() {
    const unsigned now = turn;
    block->isMoving.store(true, std::memory_order_relaxed);
    if (++count == members) {
        count = 0;
        turn++;
    } else {
        while (turn == now) pause();
    }
}

inline void Block::resume(Thread &thread, bool isOrdered) {
    running.store(&thread, std::memory_order_relaxed);
    scheduler.leaveFor(thread.context, isOrdered);
    if (!problem.empty()) throw std::runtime_error(problem);
}

inline void Block::run() {
    std::vector<Thread *> left;
    for (Thread &thread : threads) left.push_back(&thread);
    std::mt19937 random(index.x);
    const size_t nobody = warps.size();
    size_t late = nobody;  // the warp that waits until no other can go on
    for (bool isFirst = true; !left.empty(); isFirst = false) {
        std::shuffle(left.begin(), left.end(), random);
        isMoving.store(false, std::memory_order_relaxed);
        for (Thread *thread : left)
            if (thread->index.x / 32 != late) resume(*thread, isFirst);
        if (!isMoving.load(std::memory_order_relaxed)) {
            if (late == nobody) throw std::runtime_error("threads wait for those who never come");
            late = nobody;
        } else if (late == nobody) {
            late = random() % warps.size();
        }
        std::erase_if(left, [](const Thread *thread) { return thread->isDone.load(std::memory_order_relaxed); });
    }
    // Once more, to order what they have done before what comes. Earlier, one's end would also order what others still do.
    for (Thread &thread : threads) resume(thread, false);
}

/// What all lanes of the warp hold. There are two places, taken in turn: who writes to one again has met all others since they
/// have read it.
inline const Held *exchange(const Held &own) {
    Thread &thread = current();
    Warp &warp = block->warps[thread.index.x / 32];
    Held *held = warp.held[thread.exchanges++ % 2];
    held[thread.index.x % 32] = own;
    warp.meeting.join();
    for (int lane = 0; lane < 32; lane++)
        if (held[lane].instruction != own.instruction) fail("lanes are at different instructions");
    return held;
}

/// Runs a kernel; `bytes` is the size of the memory that a block shares besides what the kernel declares.
template <class Arguments>
void launch(void (*kernel)(Arguments), const Arguments &arguments, long long blocks, unsigned threads, long long bytes = 0) {
    for (unsigned index = 0; index < blocks; index++) {
        Block next(index, threads, bytes);
        block = &next;
        for (unsigned thread = 0; thread < threads; thread++) {
            next.threads[thread].index = {thread};
            next.threads[thread].body = [&] { kernel(arguments); };
        }
        next.run();
    }
}

/// What `body` throws, until the next call; NULL if it does not.
template <class Body> const char *problem(const Body &body) {
    static thread_local std::string text;
    try {
        body();
        return nullptr;
    } catch (const std::exception &error) {
        return (text = error.what()).c_str();
    }
}

/// Numbers of the products' type, from float32 and back; none where there is no array.
template <class T> struct Operand {
    std::vector<T> values;

    Operand(const float *from, long long count) : values(from ? count : 0) {
        for (size_t i = 0; i < values.size(); i++) values[i] = loops::narrow<T>(from[i]);
    }
    T *data() { return values.empty() ? nullptr : values.data(); }
    void write(float *to) const {
        for (size_t i = 0; i < values.size(); i++) to[i] = loops::widen(values[i]);
    }
};

}  // namespace emulated

inline void __syncthreads() { emulated::block->all.join(); }
inline void __syncwarp() { emulated::exchange({.instruction = emulated::Instruction::synchronize}); }
inline float __shfl_xor_sync(unsigned, float value, unsigned distance) {
    const emulated::Held *held = emulated::exchange({.instruction = emulated::Instruction::shuffle, .number = value});
    return held[threadIdx.x % 32 ^ distance].number;
}
