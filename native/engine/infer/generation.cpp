#include "engine/infer/generation.h"

#include "engine/base/error.h"
#include "engine/infer/decoding-session.h"
#include "engine/infer/text-stream.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<std::int32_t> starting_text(const GenerationRequest& request) {
  if (!request.prompt.empty()) {
    return request.prompt;
  }
  if (!request.end_of_text_id.has_value()) {
    throw Error("BAD_ARGUMENT",
                "An empty prompt needs the id of end-of-text to begin with; give endOfTextId or a prompt.");
  }
  return {*request.end_of_text_id};
}

// One request while it is worked on.
class Text {
public:
  Text(const GenerationRequest& request, std::int64_t context)
      : request_(request), context_(context), sampler_(request.sampling), stream_(request.stop_texts),
        text_(starting_text(request)) {
    if (request.max_new_tokens < 0) {
      throw Error("BAD_ARGUMENT",
                  "maxNewTokens is a whole number of at least 0, not " + std::to_string(request.max_new_tokens) + ".");
    }
    if (!request.stop_texts.empty() && !request.token_bytes) {
      throw Error("BAD_ARGUMENT", "stopTexts need the tokenizer, or nobody knows what the tokens say; give tokenizer.");
    }
    if (static_cast<std::int64_t>(text_.size()) > context) {
      const std::int64_t kept = context - std::min(request.max_new_tokens, context / 2);
      result.prompt_tokens_dropped = static_cast<std::int64_t>(text_.size()) - kept;
      text_.erase(text_.begin(), text_.begin() + result.prompt_tokens_dropped);
    }
    sampler_.see(text_);
  }

  // Positions that it needs to be whole; the context where it is longer.
  std::int64_t positions() const {
    const auto prompt = static_cast<std::int64_t>(text_.size());
    return prompt + std::min(request_.max_new_tokens, context_ - prompt);
  }

  void begin(std::size_t request, std::int64_t place, Clock::time_point start) {
    number_ = request;
    place_ = place;
    start_ = start;
  }
  std::size_t request() const { return number_; }
  std::int64_t place() const { return place_; }
  bool reads_prompt() const { return reads_prompt_; }

  // A full window moves on to its last half.
  void slide_if_full(DecodingSession& session) {
    if (session.position(place_) < session.capacity()) {
      return;
    }
    // Only a session of the whole context fills up: a smaller one was made just large enough.
    session.reset(place_);
    ++result.window_slides;
    fed_ = text_.size() - static_cast<std::size_t>(std::max<std::int64_t>(1, context_ / 2));
    reads_prompt_ = true;
  }
  // What the model has not seen yet.
  std::span<const std::int32_t> pending() const { return std::span(text_).subspan(fed_); }
  void mark_read(std::size_t count) { fed_ += count; }
  bool is_read() const { return fed_ == text_.size(); }

  // Draws the next token from the logits behind what was read. False: the text has ended.
  template <class OnToken> bool draw(std::span<const float> logits, const OnToken& on_token) {
    reads_prompt_ = false;
    if (drawn_ == 0) {
      result.prompt_seconds = seconds_since(start_);
    }
    if (drawn_ >= request_.max_new_tokens) {
      return end(StopReason::kLength, on_token);
    }
    const auto index = drawn_++;
    SampledToken sampled = sampler_.sample(logits, static_cast<std::uint64_t>(index));
    if (std::find(request_.stop_ids.begin(), request_.stop_ids.end(), sampled.id) != request_.stop_ids.end()) {
      return end(StopReason::kStop, on_token);
    }
    text_.push_back(sampled.id);
    sampler_.see(std::span(text_).last(1));
    held_.push_back({sampled.id, sampled.logprob, index, std::move(sampled.alternatives), {}});
    const std::string_view bytes = request_.token_bytes ? request_.token_bytes(sampled.id) : std::string_view();
    if (stream_.push(bytes, emit_with(on_token))) {
      held_.clear();
      return finish(StopReason::kStop);
    }
    return drawn_ < request_.max_new_tokens || end(StopReason::kLength, on_token);
  }

  template <class OnToken> bool end(StopReason reason, const OnToken& on_token) {
    stream_.finish(emit_with(on_token));
    result.text += stream_.rest();
    return finish(reason);
  }

  GenerationResult result;

private:
  bool finish(StopReason reason) {
    result.stop_reason = reason;
    result.seconds = place_ >= 0 ? seconds_since(start_) : 0;
    return false;
  }

  // The tokens come out in the order in which they were drawn.
  template <class OnToken> TextStream::Emit emit_with(const OnToken& on_token) {
    return [this, &on_token](std::size_t, const std::string& text) {
      GeneratedToken token = std::move(held_.front());
      held_.pop_front();
      token.text = text;
      result.ids.push_back(token.id);
      result.text += text;
      on_token(token);
    };
  }

  const GenerationRequest& request_;
  std::int64_t context_;
  Sampler sampler_;
  TextStream stream_;
  std::vector<std::int32_t> text_; // what the model reads: prompt and drawn tokens
  std::size_t fed_ = 0;            // how much of it the session has seen
  std::deque<GeneratedToken> held_;
  std::int64_t drawn_ = 0;
  bool reads_prompt_ = true;
  std::size_t number_ = 0;
  std::int64_t place_ = -1; // in the session; −1 before it has one
  Clock::time_point start_;
};

// The texts that have a place in the session, and those that wait for one.
class Scheduler {
public:
  using OnToken = std::function<void(std::size_t, const GeneratedToken&)>;

  Scheduler(TransformerModel& model, std::span<const GenerationRequest> requests, const OnToken& on_token,
            const BatchOptions& options)
      : on_token_(on_token) {
    std::int64_t capacity = 1;
    std::int64_t prompt_tokens = 0;
    for (const GenerationRequest& request : requests) {
      const Text& text = *texts_.emplace_back(std::make_unique<Text>(request, model.config().max_seq_len));
      capacity = std::max(capacity, text.positions());
      prompt_tokens += static_cast<std::int64_t>(text.pending().size());
    }
    const auto places = std::clamp<std::int64_t>(options.sequences, 1, static_cast<std::int64_t>(texts_.size()));
    places_.assign(static_cast<std::size_t>(places), nullptr);
    session_.emplace(model,
                     DecodingOptions{.capacity = capacity,
                                     .sequences = places,
                                     .rows = std::min(std::max<std::int64_t>(options.prompt_rows, 1), prompt_tokens)});
  }

  void run(const std::atomic<bool>& cancelled) {
    for (;;) {
      const bool is_cancelled = cancelled.load(std::memory_order_relaxed);
      if (is_cancelled) {
        end_all();
      }
      fill_places();
      if (is_cancelled || std::all_of(places_.begin(), places_.end(), [](const Text* text) { return !text; })) {
        return;
      }
      run_pass();
    }
  }

  std::vector<GenerationResult> take_results() {
    std::vector<GenerationResult> results;
    for (const auto& text : texts_) {
      results.push_back(std::move(text->result));
    }
    return results;
  }

private:
  auto on_token_of(std::size_t request) const {
    return [this, request](const GeneratedToken& token) { on_token_(request, token); };
  }

  void fill_places() {
    for (std::size_t place = 0; place < places_.size() && next_ < texts_.size(); ++place) {
      if (places_[place] == nullptr) {
        places_[place] = texts_[next_].get();
        session_->reset(static_cast<std::int64_t>(place));
        // The first ones have waited for the memory of all.
        const Clock::time_point start = next_ < places_.size() ? created_ : Clock::now();
        places_[place]->begin(next_++, static_cast<std::int64_t>(place), start);
      }
    }
  }

  // Those that wait end too, without a token.
  void end_all() {
    for (; next_ < texts_.size(); ++next_) {
      texts_[next_]->end(StopReason::kCancelled, on_token_of(next_));
    }
    for (Text*& text : places_) {
      if (text != nullptr) {
        text->end(StopReason::kCancelled, on_token_of(text->request()));
        text = nullptr;
      }
    }
  }

  // Reads as much of the prompts as fits, or, where all are read, decodes one token of each text.
  void run_pass() {
    bool reads_prompts = false;
    for (Text* text : places_) {
      if (text != nullptr) {
        text->slide_if_full(*session_);
        reads_prompts = reads_prompts || text->reads_prompt();
      }
    }
    pieces_.clear();
    rows_.clear();
    read_.clear();
    std::int64_t row = 0;
    for (Text* text : places_) {
      if (text == nullptr || text->reads_prompt() != reads_prompts || row == session_->most_rows()) {
        continue;
      }
      const auto left = static_cast<std::size_t>(session_->most_rows() - row);
      const std::span<const std::int32_t> pending = text->pending();
      pieces_.push_back({text->place(), pending.first(std::min(pending.size(), left))});
      row += static_cast<std::int64_t>(pieces_.back().tokens.size());
      text->mark_read(pieces_.back().tokens.size());
      if (text->is_read()) {
        rows_.push_back(static_cast<std::int32_t>(row - 1));
        read_.push_back(text);
      }
    }
    session_->append(pieces_, reads_prompts ? DecodingSession::Pass::kPrompt : DecodingSession::Pass::kDecode);
    const std::span<const float> logits = session_->logits(rows_);
    const std::size_t vocab_size = rows_.empty() ? 0 : logits.size() / rows_.size();
    for (std::size_t i = 0; i < read_.size(); ++i) {
      Text& text = *read_[i];
      if (!text.draw(logits.subspan(i * vocab_size, vocab_size), on_token_of(text.request()))) {
        places_[static_cast<std::size_t>(text.place())] = nullptr;
      }
    }
  }

  const OnToken& on_token_;
  Clock::time_point created_ = Clock::now();
  std::vector<std::unique_ptr<Text>> texts_;
  std::vector<Text*> places_; // null: free
  std::size_t next_ = 0;      // the first text that has had no place yet
  std::optional<DecodingSession> session_;
  // Of the pass that runs; kept so that a token does not allocate.
  std::vector<SequenceTokens> pieces_;
  std::vector<std::int32_t> rows_;
  std::vector<Text*> read_;
};

} // namespace

std::vector<GenerationResult>
generate_batch(TransformerModel& model, std::span<const GenerationRequest> requests,
               const std::function<void(std::size_t request, const GeneratedToken&)>& on_token,
               const std::atomic<bool>& cancelled, const BatchOptions& options) {
  if (requests.empty()) {
    return {};
  }
  Scheduler scheduler(model, requests, on_token, options);
  scheduler.run(cancelled);
  return scheduler.take_results();
}

GenerationResult generate(TransformerModel& model, const GenerationRequest& request,
                          const std::function<void(const GeneratedToken&)>& on_token,
                          const std::atomic<bool>& cancelled) {
  const auto results = generate_batch(
      model, std::span(&request, 1), [&](std::size_t, const GeneratedToken& token) { on_token(token); }, cancelled);
  return results.front();
}

} // namespace assay
