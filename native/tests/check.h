// The smallest test harness that serves: a case is a named lambda, a failed CHECK throws with its place, and main()
// returns run_cases(), which prints one "ok" or "not ok" line a case and the number of failures as exit status.
#pragma once

#include <cstdio>
#include <exception>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace assay::test {

struct Case {
  std::string title;
  std::function<void()> body;
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline bool add_case(std::string title, std::function<void()> body) {
  cases().push_back({std::move(title), std::move(body)});
  return true;
}

[[noreturn]] inline void fail_check(const char* file, int line, const std::string& what) {
  std::ostringstream message;
  message << file << ':' << line << ": " << what;
  throw std::runtime_error(message.str());
}

inline int run_cases() {
  int failures = 0;
  for (const Case& each : cases()) {
    try {
      each.body();
      std::printf("ok - %s\n", each.title.c_str());
    } catch (const std::exception& error) {
      ++failures;
      std::printf("not ok - %s\n  %s\n", each.title.c_str(), error.what());
    }
    std::fflush(stdout);
  }
  return failures == 0 ? 0 : 1;
}

} // namespace assay::test

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      ::assay::test::fail_check(__FILE__, __LINE__, "expected " #condition);                                           \
    }                                                                                                                  \
  } while (false)
#define CHECK_EQ(left, right)                                                                                          \
  do {                                                                                                                 \
    const auto& left_value = (left);                                                                                   \
    const auto& right_value = (right);                                                                                 \
    if (!(left_value == right_value)) {                                                                                \
      std::ostringstream text;                                                                                         \
      text << "expected " #left " == " #right ", found " << left_value << " and " << right_value;                      \
      ::assay::test::fail_check(__FILE__, __LINE__, text.str());                                                       \
    }                                                                                                                  \
  } while (false)
