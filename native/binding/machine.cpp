#include "binding/machine.h"

#include "binding/devices.h"
#include "binding/failure.h"

#include "backends/cpu/cpu-backend.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

namespace assay::binding {

namespace {

// The instruction sets that decide how fast matrix products are; /proc/cpuinfo lists a hundred others.
constexpr std::array<std::string_view, 16> kTellingFlags = {
    "sse4_2",   "avx",         "avx2",        "fma",      "f16c",  "avx512f", "avx512bw", "avx512dq",
    "avx512vl", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "asimddp", "sve",      "bf16"};

struct Processor {
  std::string model;
  int logical_cores = 0;
  int physical_cores = 0;
  std::vector<std::string> isa;
};

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t");
  const auto end = text.find_last_not_of(" \t");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

void keep_telling_flags(const std::string& flags, std::vector<std::string>& isa) {
  std::istringstream words(flags);
  std::set<std::string> present;
  for (std::string word; words >> word;) {
    present.insert(word);
  }
  for (const std::string_view flag : kTellingFlags) {
    if (present.contains(std::string(flag))) {
      isa.emplace_back(flag);
    }
  }
}

Processor read_processor() {
  Processor processor;
  std::ifstream file("/proc/cpuinfo");
  std::set<std::pair<std::string, std::string>> cores;
  std::string socket;
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) {
      continue;
    }
    const std::string key = trimmed(line.substr(0, colon));
    const std::string value = trimmed(line.substr(colon + 1));
    if (key == "processor") {
      ++processor.logical_cores;
    } else if (key == "model name" && processor.model.empty()) {
      processor.model = value;
    } else if (key == "physical id") {
      socket = value;
    } else if (key == "core id") {
      cores.emplace(socket, value);
    } else if ((key == "flags" || key == "Features") && processor.isa.empty()) {
      keep_telling_flags(value, processor.isa);
    }
  }
  if (processor.logical_cores == 0) {
    processor.logical_cores = static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  }
  processor.physical_cores = cores.empty() ? processor.logical_cores : static_cast<int>(cores.size());
  if (processor.model.empty()) {
    processor.model = "unknown";
  }
  return processor;
}

} // namespace

Napi::Value machine(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Processor processor = read_processor();
    const BackendInfo backend = create_cpu_backend({.threads = 1})->info();
    const bool has_onednn = backend.gemm == "onednn";
    Napi::Object machine = Napi::Object::New(env);
    machine.Set("cpuModel", processor.model);
    machine.Set("physicalCores", processor.physical_cores);
    machine.Set("logicalCores", processor.logical_cores);
    Napi::Array isa = Napi::Array::New(env, processor.isa.size());
    for (std::size_t index = 0; index < processor.isa.size(); ++index) {
      isa.Set(static_cast<std::uint32_t>(index), processor.isa[index]);
    }
    machine.Set("isa", isa);
    machine.Set("gemm", backend.gemm);
    machine.Set("onednnVersion",
                has_onednn ? Napi::Value(Napi::String::New(env, backend.library_version)) : env.Null());
    machine.Set("onednnPath", has_onednn ? Napi::Value(Napi::String::New(env, backend.library_path)) : env.Null());
    machine.Set("engineVersion", ASSAY_ENGINE_VERSION);
    machine.Set("memoryBytes",
                static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
    machine.Set("cuda", cuda_object(env));
    return machine;
  });
}

} // namespace assay::binding
