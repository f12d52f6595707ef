// The border to libtorch: opaque handles and plain numbers, no C++ types and no exceptions.
//
// Every function that can fail returns 0 on success; otherwise ct_error() holds this thread's message.
// A `ct_tensor *` written to an `out` is owned by the caller: one reference, released with ct_release().
// Arguments are borrowed for the duration of the call.
#ifndef CTORCH_H
#define CTORCH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct ct_tensor ct_tensor;      // one tensor
typedef struct ct_operator ct_operator;  // one operator of the dispatcher, never freed

/// The message of this thread's last failed call, in libtorch's own words.
const char *ct_error(void);

// ---- Handles (tensor.cpp) ------------------------------------------------------------------------------------------

void ct_release(ct_tensor *tensor);
/// Returns another reference to the same tensor.
ct_tensor *ct_share(const ct_tensor *tensor);
/// The number of handles given out and not yet released, in the whole process.
int64_t ct_live_handles(void);

/// The element type's number in libtorch (c10::ScalarType).
int32_t ct_type(const ct_tensor *tensor);
int32_t ct_rank(const ct_tensor *tensor);
/// How often the values were written to, as counted by libtorch; operators on lists of tensors are not counted.
int64_t ct_writes(const ct_tensor *tensor);
/// Counts a write.
void ct_count_write(const ct_tensor *tensor);
int64_t ct_size(const ct_tensor *tensor, int32_t axis);
/// "cpu", "cuda" or "meta" as 0, 1, 2; the index is -1 if there is only one device.
void ct_device(const ct_tensor *tensor, int32_t *kind, int32_t *index);
/// The first element of a tensor in host memory; NULL for tensors elsewhere.
void *ct_data(const ct_tensor *tensor);

/// A tensor over the caller's memory, which must stay valid until `release(context)` is called with the last reference.
int32_t ct_from_memory(void *data, const int64_t *shape, int32_t rank, int32_t type, void (*release)(void *),
                       void *context, ct_tensor **out);

// ---- Operators (operators.cpp) -------------------------------------------------------------------------------------

enum ct_kind {
    CT_NONE = 0,     // no value
    CT_TENSOR = 1,   // tensor
    CT_INTEGER = 2,  // integer
    CT_NUMBER = 3,   // number
    CT_BOOLEAN = 4,  // integer is 0 or 1
    CT_TEXT = 5,     // text
    CT_INTEGERS = 6, // integers[count]
    CT_TENSORS = 7,  // tensors[count]
    CT_DEVICE = 8,   // integer is the kind as in ct_device, count the index
};

typedef struct {
    int32_t kind;
    int32_t count;
    union {
        ct_tensor *tensor;
        int64_t integer;
        double number;
        const char *text;
        const int64_t *integers;
        ct_tensor *const *tensors;
    } value;
} ct_value;

/// Finds an operator by its schema's name, such as "aten::add" with overload "Tensor".
int32_t ct_find_operator(const char *name, const char *overload, ct_operator **out);
/// Calls an operator. Omitted trailing arguments take the schema's defaults. Tensors of the result, including those in a tuple or
/// list, are written to `results`; `produced` receives their number. More than `capacity` is an error.
int32_t ct_call(const ct_operator *op, const ct_value *arguments, int32_t count, ct_tensor **results,
                int32_t capacity, int32_t *produced);

// ---- TorchScript (script.cpp) --------------------------------------------------------------------------------------

typedef struct ct_script ct_script;  // a program loaded from a file

/// Loads a torch.jit.save file on the CPU.
int32_t ct_script_load(const char *path, ct_script **out);
void ct_script_release(ct_script *script);
bool ct_script_has(const ct_script *script, const char *method);
/// Calls one of its methods with one tensor. A tensor or a tuple of at most `capacity` tensors is written to `results`.
int32_t ct_script_run(ct_script *script, const char *method, const ct_tensor *input, ct_tensor **results,
                      int32_t capacity, int32_t *produced);

/// Builds the bytes of such a file from the source of its methods and the tensors that they read as self.NAME, and passes them to
/// `receive`, possibly in several parts. `name` is the name of its class.
int32_t ct_script_write(const char *name, const char *source, const char *const *names,
                        const ct_tensor *const *tensors, int32_t count,
                        void (*receive)(void *context, const void *bytes, int64_t count), void *context);

// ---- Autograd (autograd.cpp) ---------------------------------------------------------------------------------------

/// Whether operators called by this thread are recorded for the backward pass.
bool ct_gradients_enabled(void);
void ct_enable_gradients(bool on);
int32_t ct_require_gradient(const ct_tensor *tensor, bool on);
/// Adds the gradient of a scalar to every leaf that requires one.
int32_t ct_backward(const ct_tensor *loss);
/// The gradient of a leaf; NULL if there is none.
int32_t ct_gradient(const ct_tensor *tensor, ct_tensor **out);
/// Replaces the gradient of a leaf; NULL removes it.
int32_t ct_set_gradient(const ct_tensor *tensor, const ct_tensor *gradient);

// ---- Recomputation (recomputation.cpp) -----------------------------------------------------------------------------

/// Computes a part of a network: takes over the inputs and writes a handle of each output. Returns NULL, or an error message for
/// free().
typedef char *(*ct_segment)(void *context, ct_tensor *const *inputs, ct_tensor **outputs);
/// Turns `computed`, which `function` returned for `inputs` without recording, into results whose backward pass calls it again.
/// Calls `release` on `context` once it is no longer needed, also after a failure.
int32_t ct_recomputed(ct_segment function, void *context, void (*release)(void *context), ct_tensor *const *inputs,
                      int32_t input_count, ct_tensor *const *computed, int32_t output_count, ct_tensor **outputs);

// ---- Kernels of our own (linear.cpp, panel-products.cpp, residual.cpp, gelu.cpp, attention.cpp, packed-attention.cpp) ----

// For non-empty tensors; the caller has checked that and the shapes. Differentiable once. On the CPU; the residual stream, GELU
// and packed attention also on CUDA, once ct_load_cuda_kernels has succeeded for the device.

/// x W^T + b: x [..., I], weight [O, I], bias [O] or NULL, all in float32.
int32_t ct_linear(const ct_tensor *x, const ct_tensor *weight, const ct_tensor *bias, ct_tensor **out);
/// The same for x in bfloat16 and weight and bias in float32; `rounded` is the weight in bfloat16. Also on CUDA.
int32_t ct_rounded_linear(const ct_tensor *x, const ct_tensor *weight, const ct_tensor *rounded, const ct_tensor *bias,
                          ct_tensor **out);

/// The residual stream. With a branch: sum = x + gate * branch. With a scale: LayerNorm of the sum (or of x) without weight and
/// bias, then normed = n (1 + scale) + shift. One of the pairs `branch` with `gate` and `scale` with `shift` may be NULL; its
/// result is then NULL too. x [B, N, D] is in float32; branch [B, N, D] and normed are in bfloat16 if `isBF16`, otherwise in
/// float32; the vectors [B, D] or [B, 1, D] are in float32, with any strides. On CUDA D is a multiple of 4 and at most 2048.
int32_t ct_residual(const ct_tensor *x, const ct_tensor *branch, const ct_tensor *gate, const ct_tensor *scale,
                    const ct_tensor *shift, double epsilon, bool isBF16, ct_tensor **sum, ct_tensor **normed);
/// Makes the CUDA kernels usable on a device: compiles those that are not compiled yet.
int32_t ct_load_cuda_kernels(int32_t device);

/// GELU in its tanh form, for any shape, in float32 or bfloat16.
int32_t ct_gelu(const ct_tensor *x, ct_tensor **out);

/// Whether this processor has the instructions for attention in the element type of q.
bool ct_has_attention(const ct_tensor *q);
/// softmax(q k^T / sqrt(d)) v for q, k, v [B, N, H, d] of one type, float32 or bfloat16, N and d even -> [B, N, H, d].
int32_t ct_attention(const ct_tensor *q, const ct_tensor *k, const ct_tensor *v, ct_tensor **out);
/// Whether a kernel supports attention over q, k and v packed as a linear layer writes them, [B, N, 3 H d] -> [B, N, H d].
bool ct_has_packed_attention(const ct_tensor *packed, int64_t heads);
int32_t ct_packed_attention(const ct_tensor *packed, int64_t heads, ct_tensor **out);

// ---- The optimiser's passes over all parameters on the CPU (adamw.cpp) -----------------------------------------------------

/// Whether all tensors, of those that are not NULL, are dense and in float32 on the CPU.
bool ct_are_dense(ct_tensor *const *tensors, int32_t count);

typedef struct {
    double learning_rate, beta1, beta2, epsilon, weight_decay;
    double gradient_factor;  // multiplies the gradients first
    double average_decay;
    int64_t step;            // counted from 1
} ct_adamw_step;

/// One step of AdamW, followed by average = decay * average + (1 - decay) * value, for dense tensors in lists of equal length. A
/// value whose gradient is NULL is not changed, one whose average is NULL has none.
int32_t ct_adamw(const ct_adamw_step *step, int32_t count, ct_tensor *const *values, ct_tensor *const *gradients,
                 ct_tensor *const *first, ct_tensor *const *second, ct_tensor *const *averages);
/// The Euclidean norm of all numbers of dense tensors.
int32_t ct_norm(ct_tensor *const *tensors, int32_t count, double *out);

// ---- Devices and the library itself (device.cpp) -------------------------------------------------------------------

int32_t ct_threads(void);
int32_t ct_set_threads(int32_t count);
/// Makes the process keep freed memory for reuse instead of returning it to the system.
void ct_keep_freed_memory(void);
/// Opens libtorch's CUDA part at `path` (libtorch_cuda.so); afterwards ct_cuda_devices() returns the number of devices.
int32_t ct_open_cuda(const char *path);
int32_t ct_cuda_devices(void);
/// Waits for everything queued on a CUDA device.
int32_t ct_synchronize(int32_t index);
/// Chooses whether attention on CUDA uses cuDNN for the shapes that it supports, or libtorch's flash attention. cuDNN's is
/// written for the newest devices; it needs a set-up for each new shape, which takes longer than a pass.
int32_t ct_choose_attention(bool by_cudnn);
/// The peak memory of tensors on a CUDA device.
int32_t ct_cuda_peak_bytes(int32_t index, int64_t *out);
/// libtorch's version, and the vector instruction set that its kernels use ("AVX512", ...).
const char *ct_version(void);
const char *ct_cpu_capability(void);
/// The file that libtorch's CPU part was loaded from.
const char *ct_library_path(void);

// ---- Profiles (profile.cpp) ----------------------------------------------------------------------------------------

/// Starts counting how often operators run in any thread, and for how long; only one profile at a time. The given CUDA device is
/// synchronised when an operator begins and ends; -1 for none.
int32_t ct_profile_begin(int32_t cuda_device);
/// Reports each operator's name, its calls, and its own seconds, excluding the operators that it called.
int32_t ct_profile_end(void (*receive)(void *context, const char *name, int64_t calls, double seconds), void *context);

// ---- Processes that compute together (group.cpp, reducer.cpp) -----------------------------------------------------------

typedef struct ct_store ct_store;      // a connection to c10d's key-value store
typedef struct ct_group ct_group;      // processes that sum and exchange tensors
typedef struct ct_reducer ct_reducer;  // sums gradients over a group during the backward pass

/// Connects to the store at host and port; given the descriptor of a listening socket (otherwise -1), this process serves it. All
/// keys begin with the prefix. Fails after `timeout` seconds without an answer.
int32_t ct_store_open(const char *host, int32_t port, int32_t listening, const char *prefix, double timeout,
                      ct_store **out);
void ct_store_release(ct_store *store);
int32_t ct_store_set(const ct_store *store, const char *key, const char *text);
int32_t ct_store_has(const ct_store *store, const char *key, bool *out);
/// The text of an existing key, valid until this thread's next call.
int32_t ct_store_get(const ct_store *store, const char *key, const char **out);

/// Creates a group over Gloo, which listens on an address of this host, or on the address of a network interface unless that is
/// NULL. All ranks call it; the store is for their exclusive use.
int32_t ct_group_gloo(const ct_store *store, int32_t rank, int32_t size, const char *address, const char *interface,
                      ct_group **out);
/// Creates a group over NCCL on a CUDA device.
int32_t ct_group_nccl(const ct_store *store, int32_t rank, int32_t size, int32_t device, ct_group **out);
void ct_group_release(ct_group *group);
/// Collectives: all ranks call them in the same order, with contiguous tensors of equal shapes; they return when done.
int32_t ct_group_sum(const ct_group *group, const ct_tensor *tensor);
int32_t ct_group_broadcast(const ct_group *group, const ct_tensor *tensor, int32_t root);
/// Gathers a tensor of every rank into out [ranks, ...].
int32_t ct_group_gather(const ct_group *group, const ct_tensor *tensor, const ct_tensor *out);

/// Creates a reducer for float32 leaves, in the order in which backward passes reach them, with buckets of so many bytes, the
/// first one smaller.
int32_t ct_reducer_make(const ct_group *group, ct_tensor *const *parameters, int32_t count, int64_t first_bytes,
                        int64_t bytes, ct_reducer **out);
void ct_reducer_release(ct_reducer *reducer);
/// Declares the next backward pass to be the last before ct_reducer_finish.
void ct_reducer_arm(ct_reducer *reducer);
/// Replaces each parameter's gradient by the sum over all ranks, zero where no rank reached it.
int32_t ct_reducer_finish(ct_reducer *reducer);

// ---- Draws (draws.cpp) ---------------------------------------------------------------------------------------------

/// The words of Philox 4x32-10 from a counter on; `counter[0]` counts the blocks of four.
void ct_random_words(uint64_t key, const uint32_t counter[4], uint32_t *out, int64_t count);
/// Normal numbers by Box-Muller on the word pairs (0, 1) and (2, 3), in float64 and rounded once: the same bits on every
/// processor.
void ct_random_normals(uint64_t key, const uint32_t counter[4], float *out, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
