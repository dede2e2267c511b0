// Host functions of the attention kernels: what the backend's table calls, and how much workspace they take.
#pragma once

#include "backends/cuda/device.h"
#include "engine/ops/backend.h"

#include <cstddef>

namespace assay::cuda {

// Head sizes up to 256, others throw NOT_SUPPORTED. bf16 activations with heads of a multiple of 8, up to 128, run on
// tensor cores. Of fp32 activations the products are taken in fp32, whatever `bf16` asks for.
void attention_forward(const KernelContext& context, const AttentionForward& call);
void attention_backward(const KernelContext& context, const AttentionBackward& call);
// Up to 16 new positions a sequence read the cache once, in pieces that many blocks share; more go as a prompt.
void attention_cached(const KernelContext& context, const AttentionCached& call);
std::size_t attention_workspace_bytes(const WorkspaceRequest& request);

} // namespace assay::cuda
