// Runs one body on several threads and waits. The first exception (by thread number) is thrown again in the caller.
#pragma once

#include <exception>
#include <thread>
#include <vector>

namespace assay {

// Calls body(thread) for thread in [0, threads); thread 0 is the caller's own. At least one is run.
template <typename Body> void run_parallel(unsigned threads, const Body& body) {
  if (threads <= 1) {
    body(0U);
    return;
  }
  std::vector<std::exception_ptr> failures(threads);
  const auto guarded = [&](unsigned thread) {
    try {
      body(thread);
    } catch (...) {
      failures[thread] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> workers;
    workers.reserve(threads - 1);
    for (unsigned thread = 1; thread < threads; ++thread) {
      workers.emplace_back(guarded, thread);
    }
    guarded(0);
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) {
      std::rethrow_exception(failure);
    }
  }
}

} // namespace assay
