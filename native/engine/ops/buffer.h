// Backend memory that is given back when it goes out of scope, and a planner that lays tensors out in one such block.
#pragma once

#include "engine/ops/backend.h"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace assay {

class Buffer {
public:
  Buffer() = default;
  Buffer(Backend& backend, std::size_t size_bytes)
      : backend_(&backend), data_(size_bytes > 0 ? backend.allocate(size_bytes) : nullptr), size_bytes_(size_bytes) {}
  ~Buffer() { reset(); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept
      : backend_(other.backend_), data_(std::exchange(other.data_, nullptr)),
        size_bytes_(std::exchange(other.size_bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      reset();
      backend_ = other.backend_;
      data_ = std::exchange(other.data_, nullptr);
      size_bytes_ = std::exchange(other.size_bytes_, 0);
    }
    return *this;
  }

  void reset() noexcept {
    if (data_ != nullptr) {
      backend_->release(std::exchange(data_, nullptr));
    }
    size_bytes_ = 0;
  }
  float* floats() const noexcept { return static_cast<float*>(data_); }
  std::byte* bytes() const noexcept { return static_cast<std::byte*>(data_); }
  std::size_t size_bytes() const noexcept { return size_bytes_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

private:
  Backend* backend_ = nullptr;
  void* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

// Hands out 64-byte aligned offsets; size_bytes() is then what to allocate. The same code plans and places, so a plan
// cannot differ from what is allocated.
class ArenaPlan {
public:
  std::size_t place(std::size_t size_bytes) {
    const std::size_t offset = size_bytes_;
    size_bytes_ += (size_bytes + 63) / 64 * 64;
    return offset;
  }
  std::size_t place_values(std::int64_t count) { return place(static_cast<std::size_t>(count) * 4); }
  std::size_t size_bytes() const noexcept { return size_bytes_; }

private:
  std::size_t size_bytes_ = 0;
};

} // namespace assay
