// Cooperating processes, as shared by the files of the border.
#pragma once
#include "border.h"
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

struct ct_store {
    c10::intrusive_ptr<c10d::Store> store;
};

struct ct_group {
    c10::intrusive_ptr<c10d::Backend> backend;
};

namespace border {
/// A group over NCCL on a CUDA device (nccl.cpp).
c10::intrusive_ptr<c10d::Backend> makeNcclGroup(c10d::Store &store, int rank, int size, int device);

/// Starts an in-place sum of a tensor over the group.
c10::intrusive_ptr<c10d::Work> beginSum(c10d::Backend &backend, const at::Tensor &tensor);
}  // namespace border
