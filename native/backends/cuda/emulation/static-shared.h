// Static shared variables of kernels. They are thread-local variables here, so they lie in the one segment that the
// linker makes of those; a grid runs on a thread of its own, whose copy of the segment can be poisoned between blocks.
#pragma once

#include <cstddef>
#include <vector>

namespace assay::emulation {

class StaticShared {
public:
  // Finds the segment of the calling thread and poisons it: nothing else of this thread may use it.
  StaticShared();
  // Before a block: poisons what the launch's first block left changed.
  void poison();
  // Bytes of static shared variables that a block has written, which its kernel has at least.
  std::size_t written_bytes() const;

private:
  std::byte* start_ = nullptr;
  std::size_t size_bytes_ = 0;
  bool known_ = false;
  std::vector<std::size_t> changed_; // lines of kLineBytes that the kernel writes
  int blocks_ = 0;
};

} // namespace assay::emulation
