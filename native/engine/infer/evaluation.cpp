#include "engine/infer/evaluation.h"

#include "engine/base/error.h"

#include <algorithm>
#include <string>
#include <vector>

namespace assay {

namespace {

// Windows are gathered so many at a time, sorted by length and run in batches of about so many positions: a batch is
// then padded by little, although documents end anywhere.
constexpr std::size_t kWindowsAtOnce = 512;
constexpr std::int64_t kBatchPositions = 2048;

// Inputs are end-of-text and then the document; position p of that text predicts token p of the document.
struct Window {
  std::uint64_t document_begin;
  std::int64_t begin; // first input position
  std::int64_t length;
  std::int64_t first_scored; // position; earlier ones were scored by the window before
};

void append_windows(std::vector<Window>& windows, std::uint64_t document_begin, std::int64_t token_count,
                    std::int64_t seq_len, std::int64_t stride) {
  std::int64_t scored = 0;
  for (std::int64_t begin = 0; scored < token_count; begin += stride) {
    const std::int64_t end = std::min(begin + seq_len, token_count);
    windows.push_back({document_begin, begin, end - begin, scored});
    scored = end;
  }
}

class Batches {
public:
  Batches(TransformerModel& model, const TokenCache& cache, std::int32_t end_of_text_id,
          const std::atomic<bool>& cancelled)
      : model_(model), cache_(cache), end_of_text_id_(end_of_text_id), cancelled_(cancelled) {}

  void run(std::vector<Window>& windows) {
    std::stable_sort(windows.begin(), windows.end(),
                     [](const Window& left, const Window& right) { return left.length > right.length; });
    for (std::size_t first = 0; first < windows.size();) {
      const std::int64_t length = windows[first].length;
      const auto count = std::min(static_cast<std::size_t>(std::max<std::int64_t>(1, kBatchPositions / length)),
                                  windows.size() - first);
      run_batch(std::span<const Window>(windows).subspan(first, count), length);
      first += count;
    }
    windows.clear();
  }

  Evaluation total;

private:
  void run_batch(std::span<const Window> windows, std::int64_t length) {
    if (cancelled_.load(std::memory_order_relaxed)) {
      throw Error("CANCELLED", "The evaluation was cancelled.");
    }
    const auto width = static_cast<std::size_t>(length);
    inputs_.assign(windows.size() * width, end_of_text_id_);
    targets_.assign(windows.size() * width, -1);
    for (std::size_t row = 0; row < windows.size(); ++row) {
      fill(windows[row], std::span(inputs_).subspan(row * width, width),
           std::span(targets_).subspan(row * width, width));
    }
    const Evaluation batch = model_.evaluate(inputs_, targets_, static_cast<std::int64_t>(windows.size()), length);
    total.nats += batch.nats;
    total.token_count += batch.token_count;
  }

  void fill(const Window& window, std::span<std::int32_t> inputs, std::span<std::int32_t> targets) const {
    const auto length = static_cast<std::size_t>(window.length);
    const std::uint64_t begin = window.document_begin + static_cast<std::uint64_t>(window.begin);
    cache_.copy_tokens(begin, targets.first(length));
    // The inputs are the targets one place later; what comes before them is the token before, or end-of-text.
    std::copy_n(targets.begin(), length - 1, inputs.begin() + 1);
    if (window.begin > 0) {
      cache_.copy_tokens(begin - 1, inputs.first(1));
    }
    std::fill_n(targets.begin(), static_cast<std::size_t>(window.first_scored - window.begin), -1);
  }

  TransformerModel& model_;
  const TokenCache& cache_;
  std::int32_t end_of_text_id_;
  const std::atomic<bool>& cancelled_;
  std::vector<std::int32_t> inputs_;
  std::vector<std::int32_t> targets_;
};

void check(const TransformerModel& model, const TokenCache& cache, const EvaluationRequest& request,
           std::int64_t stride) {
  const ModelConfig& config = model.config();
  if (request.seq_len < 1 || request.seq_len > config.max_seq_len) {
    throw Error("BAD_ARGUMENT", "seqLen " + std::to_string(request.seq_len) +
                                    " is not between 1 and the model's context of " +
                                    std::to_string(config.max_seq_len) + ".");
  }
  if (stride < 1 || stride > request.seq_len) {
    throw Error("BAD_ARGUMENT", "stride " + std::to_string(stride) + " is not between 1 and seqLen " +
                                    std::to_string(request.seq_len) + ".");
  }
  if (request.from_document > request.to_document || request.to_document > cache.document_count()) {
    throw Error("BAD_ARGUMENT", "Documents " + std::to_string(request.from_document) + " to " +
                                    std::to_string(request.to_document) + " were asked of " +
                                    std::to_string(cache.document_count()) + ".");
  }
  if (static_cast<std::int64_t>(cache.vocab_size()) > config.vocab_size ||
      request.end_of_text_id != static_cast<std::int32_t>(cache.end_of_text_id())) {
    throw Error("TOKENIZER_MODEL_MISMATCH",
                "The token cache " + cache.directory() + " has a vocabulary of " + std::to_string(cache.vocab_size()) +
                    " with end-of-text " + std::to_string(cache.end_of_text_id()) + ", the model one of " +
                    std::to_string(config.vocab_size) + " with end-of-text " + std::to_string(request.end_of_text_id) +
                    "; use the tokenizer that belongs to the model.");
  }
}

} // namespace

Evaluation evaluate_documents(TransformerModel& model, const TokenCache& cache, const EvaluationRequest& request,
                              const std::atomic<bool>& cancelled) {
  const std::int64_t stride = request.stride == 0 ? request.seq_len : request.stride;
  check(model, cache, request, stride);
  Batches batches(model, cache, request.end_of_text_id, cancelled);
  std::vector<Window> windows;
  for (std::uint64_t document = request.from_document; document < request.to_document; ++document) {
    const std::uint64_t begin = cache.document_begin(document);
    // The last token is end-of-text, which is not scored.
    const auto token_count = static_cast<std::int64_t>(cache.document_begin(document + 1) - begin) - 1;
    append_windows(windows, begin, token_count, request.seq_len, stride);
    if (windows.size() >= kWindowsAtOnce) {
      batches.run(windows);
    }
  }
  batches.run(windows);
  return batches.total;
}

} // namespace assay
