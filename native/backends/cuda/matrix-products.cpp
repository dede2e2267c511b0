// The library thinks in columns: our row-major d = a · b is its column-major dᵀ = bᵀ · aᵀ, so its first operand is b
// and its rows are our columns. Nothing is moved for that.
#include "backends/cuda/matrix-products.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backends/cuda/graphs.h"

namespace assay::cuda {

using namespace cublaslt;

namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20; // what NVIDIA advises for Hopper; less elsewhere
constexpr int kProposals = 8;
// Beyond it all are made anew: masked language models bring another number of rows with every microbatch.
constexpr std::size_t kMostPlans = 4096;
constexpr int kTimedRuns = 4;
// A later proposal must be better by this much: differences below are noise.
constexpr float kWorthwhile = 0.98F;

std::string status_text(int status) {
  static constexpr std::pair<int, const char*> kNames[] = {
      {1, "NOT_INITIALIZED"}, {3, "ALLOC_FAILED"},      {7, "INVALID_VALUE"},   {8, "ARCH_MISMATCH"},
      {11, "MAPPING_ERROR"},  {13, "EXECUTION_FAILED"}, {14, "INTERNAL_ERROR"}, {15, "NOT_SUPPORTED"}};
  for (const auto& [value, name] : kNames) {
    if (value == status) {
      return std::string("CUBLAS_STATUS_") + name;
    }
  }
  return "status " + std::to_string(status);
}

void check_status(int status, const std::string& what) {
  if (status != kSuccess) {
    throw Error("CUDA_FAILED", what + " failed with " + status_text(status) +
                                   "; restart, and if it happens again install another version of cuBLASLt.");
  }
}

// Nothing was done, and another algorithm may do.
bool is_refusal(int status) {
  return status == kInvalidValue || status == kArchitectureMismatch || status == kNotSupported;
}

int value_type_of(DataType type) {
  return type == DataType::kBf16 ? kRealBf16 : kRealF32;
}

// What is known of an address' alignment; no kernel asks for more than 16 bytes.
std::uint8_t alignment_of(const void* address) {
  const auto bits = reinterpret_cast<std::uintptr_t>(address);
  return static_cast<std::uint8_t>(std::min<std::uintptr_t>(16, bits & (~bits + 1)));
}

// Two events around what is timed.
class Timer {
public:
  Timer() {
    check_cuda(cudaEventCreateWithFlags(&begin_, cudaEventDefault), "Making an event");
    if (const cudaError_t status = cudaEventCreateWithFlags(&end_, cudaEventDefault); status != cudaSuccess) {
      cudaEventDestroy(begin_);
      check_cuda(status, "Making an event");
    }
  }
  ~Timer() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  void begin(cudaStream_t stream) { check_cuda(cudaEventRecord(begin_, stream), "Timing a product"); }
  float end(cudaStream_t stream) {
    float milliseconds = 0.0F;
    check_cuda(cudaEventRecord(end_, stream), "Timing a product");
    check_cuda(cudaEventSynchronize(end_), "Timing a product");
    check_cuda(cudaEventElapsedTime(&milliseconds, begin_, end_), "Timing a product");
    return milliseconds;
  }

private:
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

} // namespace

// All that the choice of an algorithm depends on. Without padding, so that it may be compared and hashed as bytes.
struct MatrixProducts::Shape {
  std::int64_t m, n, k, a_stride, b_stride, d_stride;
  std::uint32_t epilogue;
  DataType type, d_type;
  std::uint8_t transposes, adds;
  std::uint8_t a_alignment, b_alignment, d_alignment, extra_alignment;
  std::uint8_t reserved[4];

  explicit Shape(const Product& p)
      : m(p.m), n(p.n), k(p.k), a_stride(p.a_stride), b_stride(p.b_stride), d_stride(p.d_stride), epilogue(p.epilogue),
        type(p.a.type), d_type(p.d.type),
        transposes(static_cast<std::uint8_t>((p.transpose_a ? 2 : 0) + (p.transpose_b ? 1 : 0))),
        adds(p.beta != 0.0F ? 1 : 0), a_alignment(alignment_of(p.a.data)), b_alignment(alignment_of(p.b.data)),
        d_alignment(alignment_of(p.d.data)),
        extra_alignment(p.auxiliary != nullptr ? alignment_of(p.auxiliary) : 0), reserved{} {}
  bool operator==(const Shape& other) const { return std::memcmp(this, &other, sizeof(Shape)) == 0; }

  std::string text() const {
    std::string result;
    for (const std::int64_t part :
         {m, n, k, a_stride, b_stride, d_stride, static_cast<std::int64_t>(epilogue), static_cast<std::int64_t>(type),
          static_cast<std::int64_t>(d_type), static_cast<std::int64_t>(transposes), static_cast<std::int64_t>(adds),
          static_cast<std::int64_t>(a_alignment), static_cast<std::int64_t>(b_alignment),
          static_cast<std::int64_t>(d_alignment), static_cast<std::int64_t>(extra_alignment)}) {
      result += ' ' + std::to_string(part);
    }
    return result;
  }
};

// The library's objects of one shape. Its operands a and b are ours the other way round.
struct MatrixProducts::Plan {
  const CublasLt& library;
  MatmulDescription* description = nullptr;
  MatrixLayout* first = nullptr;
  MatrixLayout* second = nullptr;
  MatrixLayout* result = nullptr;
  // The best first; empty where the library has nothing. The others are for when it refuses to run one that it
  // proposed.
  std::vector<ProductChoice> choices;

  Plan(const CublasLt& cublaslt, const Product& p) : library(cublaslt) {
    check_status(library.description_create(&description, kComputeF32, kRealF32), "Describing a product");
    const std::int32_t first_operation = p.transpose_b ? kTransposed : kPlain;
    const std::int32_t second_operation = p.transpose_a ? kTransposed : kPlain;
    const auto epilogue = static_cast<std::uint32_t>(p.epilogue);
    set(kTransposeA, first_operation);
    set(kTransposeB, second_operation);
    set(kEpilogue, epilogue);
    if (p.auxiliary != nullptr) {
      set(kAuxStride, p.d_stride);
    }
    const int type = value_type_of(p.a.type);
    lay_out(first, type, p.transpose_b ? p.k : p.n, p.transpose_b ? p.n : p.k, p.b_stride);
    lay_out(second, type, p.transpose_a ? p.m : p.k, p.transpose_a ? p.k : p.m, p.a_stride);
    lay_out(result, value_type_of(p.d.type), p.n, p.m, p.d_stride);
  }
  ~Plan() {
    for (MatrixLayout* layout : {first, second, result}) {
      if (layout != nullptr) {
        library.layout_destroy(layout);
      }
    }
    if (description != nullptr) {
      library.description_destroy(description);
    }
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  template <class T> void set(DescriptionAttribute attribute, const T& value) const {
    check_status(library.description_set(description, attribute, &value, sizeof(value)), "Describing a product");
  }
  void set_pointers(const Product& p) const {
    if (p.bias != nullptr) {
      set(kBiasPointer, p.bias);
    }
    if (p.auxiliary != nullptr) {
      set(kAuxPointer, p.auxiliary);
    }
  }

private:
  void lay_out(MatrixLayout*& layout, int type, std::int64_t rows, std::int64_t columns, std::int64_t stride) const {
    check_status(library.layout_create(&layout, type, static_cast<std::uint64_t>(rows),
                                       static_cast<std::uint64_t>(columns), stride),
                 "Describing a matrix");
  }
};

struct MatrixProducts::Plans {
  struct Hash {
    std::size_t operator()(const Shape& shape) const {
      static_assert(std::has_unique_object_representations_v<Shape>);
      std::uint64_t words[sizeof(Shape) / sizeof(std::uint64_t)];
      static_assert(sizeof(words) == sizeof(Shape));
      std::memcpy(words, &shape, sizeof(words));
      std::uint64_t hash = 0;
      for (const std::uint64_t word : words) {
        hash = (hash ^ word) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 29;
      }
      return hash;
    }
  };
  std::unordered_map<Shape, std::unique_ptr<Plan>, Hash> by_shape;
};

MatrixProducts::MatrixProducts(const CublasLt& library, const MatrixProductOptions& options)
    : library_(library), options_(options), choices_(options.measures ? options.choices_path : std::string()),
      plans_(std::make_unique<Plans>()) {
  if (const cudaError_t status = cudaMalloc(&workspace_, kWorkspaceBytes); status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error("OUT_OF_MEMORY", "There is no room on " + options_.device_name +
                                     " for the 32 MiB that matrix products need; close what else uses the GPU.");
  } else {
    check_cuda(status, "Reserving 32 MiB of GPU memory for products");
  }
  if (const int status = library_.create(&context_); status != kSuccess) {
    cudaFree(workspace_);
    check_status(status, "Starting cuBLASLt " + library_.version + " (" + library_.path + ")");
  }
}

MatrixProducts::~MatrixProducts() {
  plans_.reset();
  library_.destroy(context_);
  cudaFree(workspace_);
}

bool MatrixProducts::multiply(cudaStream_t stream, const Product& product) {
  if (product.m == 0 || product.n == 0) {
    return true;
  }
  Plan& plan = plan_of(stream, product);
  plan.set_pointers(product);
  while (!plan.choices.empty()) {
    const int status = run(stream, product, plan, plan.choices.front(), product.d.data);
    if (!is_refusal(status)) {
      check_status(status, "A product of " + std::to_string(product.m) + " · " + std::to_string(product.k) + " by " +
                               std::to_string(product.k) + " · " + std::to_string(product.n));
      return true;
    }
    plan.choices.erase(plan.choices.begin());
  }
  return false;
}

void MatrixProducts::multiply_plain(cudaStream_t stream, const Product& product) {
  if (!multiply(stream, product)) {
    throw Error("CUDA_FAILED", "cuBLASLt " + library_.version + " (" + library_.path + ") has no product of " +
                                   std::to_string(product.m) + " · " + std::to_string(product.k) + " by " +
                                   std::to_string(product.k) + " · " + std::to_string(product.n) +
                                   " on this GPU; install a newer version of it.");
  }
}

MatrixProducts::Plan& MatrixProducts::plan_of(cudaStream_t stream, const Product& product) {
  const Shape shape(product);
  if (const auto found = plans_->by_shape.find(shape); found != plans_->by_shape.end()) {
    return *found->second;
  }
  require_not_recording(stream);
  if (plans_->by_shape.size() >= kMostPlans) {
    plans_->by_shape.clear();
  }
  auto plan = std::make_unique<Plan>(library_, product);
  plan->set_pointers(product);
  const std::string key = options_.device_name + '|' + std::to_string(options_.multiprocessors) + '|' +
                          library_.version + '|' + shape.text();
  const auto is_usable = [&](const ProductChoice& choice) {
    HeuristicResult result{};
    return choice.workspace_bytes <= kWorkspaceBytes &&
           library_.check(context_, plan->description, plan->first, plan->second, plan->result, plan->result,
                          &choice.algorithm, &result) == kSuccess &&
           result.workspace_bytes <= kWorkspaceBytes;
  };
  const auto kept = choices_.find(key);
  if (kept && is_usable(*kept)) {
    plan->choices = {*kept};
  } else {
    plan->choices = choose(stream, product, *plan, key);
  }
  return *plans_->by_shape.emplace(shape, std::move(plan)).first->second;
}

// What the library proposes, the best first, or the one that was measured to be.
std::vector<ProductChoice> MatrixProducts::choose(cudaStream_t stream, const Product& product, const Plan& plan,
                                                  const std::string& key) {
  Preference* preference = nullptr;
  check_status(library_.preference_create(&preference), "Choosing an algorithm");
  const auto set = [&](PreferenceAttribute attribute, auto value) {
    check_status(library_.preference_set(preference, attribute, &value, sizeof(value)), "Choosing an algorithm");
  };
  HeuristicResult proposals[kProposals] = {};
  int count = 0;
  int status = kSuccess;
  try {
    set(kMaxWorkspaceBytes, std::uint64_t{kWorkspaceBytes});
    // Sums may be split only where the parts are kept in fp32 and added in a second pass: neither rounded in between
    // nor added as they come.
    set(kReductionSchemes, std::uint32_t{kReduceInComputeType});
    set(kMinAlignmentA, std::uint32_t{alignment_of(product.b.data)});
    set(kMinAlignmentB, std::uint32_t{alignment_of(product.a.data)});
    set(kMinAlignmentC, std::uint32_t{alignment_of(product.d.data)});
    set(kMinAlignmentD, std::uint32_t{alignment_of(product.d.data)});
    status = library_.heuristic(context_, plan.description, plan.first, plan.second, plan.result, plan.result,
                                preference, kProposals, proposals, &count);
  } catch (...) {
    library_.preference_destroy(preference);
    throw;
  }
  library_.preference_destroy(preference);
  if (status != kSuccess && status != kNotSupported && status != kInvalidValue) {
    check_status(status, "Choosing an algorithm");
  }
  std::vector<ProductChoice> possible;
  for (int i = 0; status == kSuccess && i < count; ++i) {
    if (proposals[i].status == kSuccess && proposals[i].workspace_bytes <= kWorkspaceBytes) {
      possible.push_back({proposals[i].algorithm, proposals[i].workspace_bytes});
    }
  }
  const bool may_measure = product.is_measured && options_.measures && (choices_.keeps() || !options_.deterministic);
  if (possible.empty() || !may_measure || (possible.size() == 1 && !choices_.keeps())) {
    return possible;
  }

  // What is added to must not be added to twice; what is only written is written once more at the end.
  void* target = product.d.data;
  void* scratch = nullptr;
  if (product.beta != 0.0F) {
    const auto values = static_cast<std::size_t>((product.m - 1) * product.d_stride + product.n);
    if (cudaMalloc(&scratch, values * size_of(product.d.type)) == cudaSuccess) {
      target = scratch;
    } else {
      cudaGetLastError(); // no room is no failure: the first proposal it is
      possible.resize(1);
    }
  }
  ProductChoice best = possible.front();
  bool is_possible = true;
  try {
    if (possible.size() > 1) {
      float best_time = measure(stream, product, plan, best, target);
      for (std::size_t i = 1; i < possible.size(); ++i) {
        const float time = measure(stream, product, plan, possible[i], target);
        if (time < best_time * kWorthwhile) {
          best_time = time;
          best = possible[i];
        }
      }
      is_possible = best_time < INFINITY;
    }
  } catch (...) {
    cudaFree(scratch);
    throw;
  }
  cudaFree(scratch);
  if (!is_possible) {
    return {};
  }
  if (choices_.keeps()) {
    const auto kept = choices_.keep(key, best);
    if (kept) {
      return {*kept};
    }
    if (options_.deterministic) {
      return possible;
    }
  }
  return {best};
}

float MatrixProducts::measure(cudaStream_t stream, const Product& product, const Plan& plan,
                              const ProductChoice& choice, void* target) {
  // Once to load the kernel, and to see whether it can.
  if (run(stream, product, plan, choice, target) != kSuccess) {
    return INFINITY;
  }
  Timer timer;
  timer.begin(stream);
  for (int i = 0; i < kTimedRuns; ++i) {
    run(stream, product, plan, choice, target);
  }
  return timer.end(stream) / kTimedRuns;
}

int MatrixProducts::run(cudaStream_t stream, const Product& product, const Plan& plan, const ProductChoice& choice,
                        void* target) {
  return library_.matmul(context_, plan.description, &product.alpha, product.b.data, plan.first, product.a.data,
                         plan.second, &product.beta, target, plan.result, target, plan.result, &choice.algorithm,
                         workspace_, kWorkspaceBytes, stream);
}

} // namespace assay::cuda
