// Times llama.cpp natively, without Node, on the same work as bench-infer, and prints the same JSON line:
//   bench-llama --libraries FOLDER --model FILE.gguf [--prompt 512] [--tokens 64] [--rounds 3] [--threads 2]
// It opens the shared objects that node-llama-cpp ships (libllama, libggml), so nothing of llama.cpp is compiled here.
// The few functions it calls are declared below; their two parameter structures are passed as they come, but for the
// context's first three numbers (context, batch and micro-batch), which are checked by asking for the context back.
#include <dlfcn.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// Returned and passed by value, on the stack: larger than the library's own does no harm, as each is the only one.
struct ModelParameters {
  unsigned char bytes[512];
};
struct ContextParameters {
  std::uint32_t context, batch, micro_batch;
  unsigned char bytes[512];
};
// llama_batch: a count and six pointers; those that are null are filled in by the library (one sequence, positions go
// on, logits of the last token).
struct Batch {
  std::int32_t count;
  std::int32_t* tokens;
  void* others[5];
};

struct Llama {
  void (*set_log)(void (*)(int, const char*, void*), void*);
  void (*load_backends)(const char* folder);
  void (*start)();
  ModelParameters (*model_defaults)();
  ContextParameters (*context_defaults)();
  void* (*load_model)(const char* path, ModelParameters parameters);
  void* (*make_context)(void* model, ContextParameters parameters);
  std::uint32_t (*context_size)(const void* context);
  void (*set_threads)(void* context, std::int32_t threads, std::int32_t batch_threads);
  std::int32_t (*decode)(void* context, Batch batch);
  float* (*logits)(void* context, std::int32_t index);
  void* (*memory)(void* context);
  void (*clear_memory)(void* memory, bool data);
  const void* (*vocabulary)(const void* model);
  std::int32_t (*vocabulary_size)(const void* vocabulary);
};

std::string find_library(const std::string& folder, const std::string& beginning) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(beginning, 0) == 0) {
      return entry.path().string();
    }
  }
  throw std::runtime_error("There is no " + beginning + "* in " + folder + ".");
}

void* open_library(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    throw std::runtime_error(std::string("Cannot open it: ") + dlerror());
  }
  return library;
}

template <class Function> void find(void* library, const char* name, Function& function) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) {
    throw std::runtime_error(std::string("This llama.cpp has no ") + name + ".");
  }
  std::memcpy(&function, &symbol, sizeof(symbol));
}

Llama open_llama(const std::string& folder) {
  open_library(find_library(folder, "libggml-base"));
  // "libggml.": the loader of backends, not a backend.
  void* ggml = open_library(find_library(folder, "libggml."));
  void* library = open_library(find_library(folder, "libllama."));
  Llama llama{};
  find(ggml, "ggml_backend_load_all_from_path", llama.load_backends);
  find(library, "llama_log_set", llama.set_log);
  find(library, "llama_backend_init", llama.start);
  find(library, "llama_model_default_params", llama.model_defaults);
  find(library, "llama_context_default_params", llama.context_defaults);
  find(library, "llama_model_load_from_file", llama.load_model);
  find(library, "llama_init_from_model", llama.make_context);
  find(library, "llama_n_ctx", llama.context_size);
  find(library, "llama_set_n_threads", llama.set_threads);
  find(library, "llama_decode", llama.decode);
  find(library, "llama_get_logits_ith", llama.logits);
  find(library, "llama_get_memory", llama.memory);
  find(library, "llama_memory_clear", llama.clear_memory);
  find(library, "llama_model_get_vocab", llama.vocabulary);
  find(library, "llama_vocab_n_tokens", llama.vocabulary_size);
  return llama;
}

struct Options {
  std::string libraries, model;
  int prompt = 512, tokens = 64, rounds = 3, threads = 2;
};

// bench-infer's.
std::vector<std::int32_t> some_tokens(int count, std::uint32_t seed) {
  std::vector<std::int32_t> tokens;
  std::uint32_t state = seed;
  for (int i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    tokens.push_back(static_cast<std::int32_t>((state >> 8) % 50256U));
  }
  return tokens;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Session {
public:
  Session(const Llama& llama, const Options& options) : llama_(llama) {
    llama.set_log([](int, const char*, void*) {}, nullptr);
    llama.load_backends(options.libraries.c_str());
    llama.start();
    void* model = llama.load_model(options.model.c_str(), llama.model_defaults());
    if (model == nullptr) {
      throw std::runtime_error("llama.cpp cannot load " + options.model + ".");
    }
    vocabulary_size_ = llama.vocabulary_size(llama.vocabulary(model));
    ContextParameters parameters = llama.context_defaults();
    const std::uint32_t wanted = 1024;
    parameters.context = wanted;
    parameters.batch = wanted;
    parameters.micro_batch = 512;
    context_ = llama.make_context(model, parameters);
    if (context_ == nullptr || llama.context_size(context_) != wanted) {
      throw std::runtime_error("This llama.cpp's parameters are not those this program knows.");
    }
    llama.set_threads(context_, options.threads, options.threads);
  }

  void forget() { llama_.clear_memory(llama_.memory(context_), true); }

  // Reads tokens and returns the likeliest next one.
  std::int32_t read(std::vector<std::int32_t>& tokens) {
    Batch batch{};
    batch.count = static_cast<std::int32_t>(tokens.size());
    batch.tokens = tokens.data();
    if (llama_.decode(context_, batch) != 0) {
      throw std::runtime_error("llama_decode failed.");
    }
    const float* logits = llama_.logits(context_, -1);
    std::int32_t best = 0;
    for (std::int32_t id = 1; id < vocabulary_size_; ++id) {
      best = logits[id] > logits[best] ? id : best;
    }
    return best;
  }

private:
  const Llama& llama_;
  void* context_ = nullptr;
  std::int32_t vocabulary_size_ = 0;
};

void print_list(const char* name, const std::vector<double>& values, const char* format) {
  std::printf(",\"%s\":[", name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::printf(i > 0 ? "," : "");
    std::printf(format, values[i]);
  }
  std::printf("]");
}

// A round before those that count warms up.
void run(const Options& options) {
  const Llama llama = open_llama(options.libraries);
  Session session(llama, options);
  std::vector<double> prompt_seconds, decode_seconds, ids;
  std::vector<std::int32_t> prompt = some_tokens(options.prompt, 1);
  for (int round = 0; round <= options.rounds && options.prompt > 0; ++round) {
    session.forget();
    const double seconds = seconds_of([&] { session.read(prompt); });
    if (round > 0) {
      prompt_seconds.push_back(seconds);
    }
  }
  std::vector<std::int32_t> beginning = some_tokens(16, 1);
  for (int round = 0; round <= options.rounds && options.tokens > 1; ++round) {
    session.forget();
    ids.clear();
    std::vector<std::int32_t> token = {session.read(beginning)};
    ids.push_back(token[0]);
    const double seconds = seconds_of([&] {
      for (int i = 1; i < options.tokens; ++i) {
        token[0] = session.read(token);
        ids.push_back(token[0]);
      }
    });
    if (round > 0) {
      decode_seconds.push_back(seconds);
    }
  }
  std::printf("{\"prompt\":%d,\"tokens\":%d,\"threads\":%d", options.prompt, options.tokens, options.threads);
  print_list("prompt_seconds", prompt_seconds, "%.6f");
  print_list("decode_seconds", decode_seconds, "%.6f");
  print_list("ids", ids, "%.0f");
  std::printf("}\n");
  std::fflush(stdout);
}

bool parse(int count, char** arguments, Options& options) {
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = arguments[i];
    const std::string value = arguments[i + 1];
    if (name == "--libraries") {
      options.libraries = value;
    } else if (name == "--model") {
      options.model = value;
    } else if (name == "--prompt") {
      options.prompt = std::atoi(value.c_str());
    } else if (name == "--tokens") {
      options.tokens = std::atoi(value.c_str());
    } else if (name == "--rounds") {
      options.rounds = std::atoi(value.c_str());
    } else if (name == "--threads") {
      options.threads = std::atoi(value.c_str());
    } else {
      return false;
    }
  }
  return !options.libraries.empty() && !options.model.empty() && options.prompt <= 512;
}

} // namespace

int main(int count, char** arguments) {
  Options options;
  if (!parse(count, arguments, options)) {
    std::fprintf(stderr, "usage: bench-llama --libraries FOLDER --model FILE.gguf [--prompt N] [--tokens N] "
                         "[--rounds N] [--threads N]\n");
    return 2;
  }
  try {
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  // Its threads and backends are not worth taking down in order.
  std::_Exit(0);
}
