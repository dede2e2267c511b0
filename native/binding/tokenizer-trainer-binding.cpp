#include "binding/tokenizer-trainer-binding.h"

#include "binding/arguments.h"
#include "binding/failure.h"
#include "binding/tokenizer-texts.h"

#include "engine/base/error.h"

#include <limits>
#include <optional>

namespace assay::binding {

namespace {

constexpr double kMostThreads = 1024;
constexpr double kLargestVocabulary = std::numeric_limits<std::int32_t>::max();

// Progress on its way to JavaScript: at most one message is under way, so a slow listener loses some and delays
// nothing. All but send() is for the JavaScript thread.
class ProgressChannel {
public:
  ProgressChannel(Napi::Env env, const Napi::Function& listener)
      : state_(std::make_shared<State>()),
        function_(Napi::ThreadSafeFunction::New(env, listener, "assay-tokenizer-progress", 1, 1)) {}

  void send(std::size_t merges, std::size_t total) {
    const auto tell = [state = state_, merges, total](Napi::Env env, Napi::Function listener) {
      deliver(*state, env, listener, merges, total);
    };
    function_.NonBlockingCall(tell);
  }

  // Ends the channel with a last message; messages still under way are dropped. Throws what the listener threw.
  void finish(Napi::Env env, const Napi::Function& listener, std::size_t merges) {
    deliver(*state_, env, listener, merges, merges);
    state_->is_over = true;
    if (state_->thrown.has_value()) {
      throw *state_->thrown;
    }
  }

  // Without this the process would wait for more messages for ever.
  void release() { function_.Release(); }

private:
  struct State {
    bool is_over = false;
    std::optional<Napi::Error> thrown;
  };

  static void deliver(State& state, Napi::Env env, const Napi::Function& listener, std::size_t merges,
                      std::size_t total) {
    if (state.is_over || state.thrown.has_value()) {
      return;
    }
    try {
      listener.Call(
          {Napi::Number::New(env, static_cast<double>(merges)), Napi::Number::New(env, static_cast<double>(total))});
    } catch (const Napi::Error& error) {
      state.thrown = error;
    }
  }

  std::shared_ptr<State> state_;
  Napi::ThreadSafeFunction function_;
};

WordStatisticsOptions read_trainer_options(const Napi::Object& object) {
  constexpr const char* kWhere = "createTokenizerTrainer";
  WordStatisticsOptions options;
  options.threads = static_cast<unsigned>(integer_field(object, "threads", kWhere, 1, kMostThreads));
  if (has_field(object, "maxWordBytes")) {
    options.max_word_bytes =
        static_cast<std::size_t>(integer_field(object, "maxWordBytes", kWhere, 1, kLargestSafeInteger));
  }
  if (has_field(object, "maxMemoryBytes")) {
    options.max_memory_bytes =
        static_cast<std::uint64_t>(integer_field(object, "maxMemoryBytes", kWhere, 1, kLargestSafeInteger));
  }
  return options;
}

std::vector<std::string> texts_field(const Napi::Object& object, const char* where, const char* name) {
  std::vector<std::string> texts;
  if (has_field(object, name)) {
    const Utf8Texts given(Utf16Texts::from_array(object.Get(name), where, name));
    const std::vector<std::string_view> views = given.views();
    texts.assign(views.begin(), views.end());
  }
  return texts;
}

TokenizerTrainOptions read_train_options(const Napi::Object& object) {
  constexpr const char* kWhere = "train";
  TokenizerTrainOptions options;
  options.vocab_size = static_cast<std::uint32_t>(integer_field(object, "vocabSize", kWhere, 1, kLargestVocabulary));
  options.min_frequency =
      static_cast<std::uint64_t>(integer_field(object, "minFrequency", kWhere, 0, kLargestSafeInteger));
  options.threads = static_cast<unsigned>(integer_field(object, "threads", kWhere, 1, kMostThreads));
  options.first_tokens = texts_field(object, kWhere, "firstTokens");
  options.last_tokens = texts_field(object, kWhere, "lastTokens");
  options.protected_words = texts_field(object, kWhere, "protectedWords");
  return options;
}

TrainableType read_type(const Napi::Object& object) {
  const std::string type = has_field(object, "type") ? object.Get("type").ToString().Utf8Value() : "byte-bpe";
  if (type == "byte-bpe") {
    return TrainableType::kByteBpe;
  }
  if (type == "wordpiece") {
    return TrainableType::kWordPiece;
  }
  if (type == "unigram") {
    return TrainableType::kUnigram;
  }
  throw Error("BAD_ARGUMENT",
              "createTokenizerTrainer: type is \"" + type + "\"; it is byte-bpe, wordpiece or unigram.");
}

} // namespace

void TrainerObject::define(Napi::Env env, Napi::Object exports, const TokenizerObject::Constructor& tokenizers) {
  const Napi::Function constructor =
      DefineClass(env, "TokenizerTrainer",
                  {
                      InstanceMethod<&TrainerObject::add>("add"),
                      InstanceMethod<&TrainerObject::train>("train"),
                      InstanceMethod<&TrainerObject::memory_bytes>("memoryBytes"),
                      InstanceAccessor<&TrainerObject::word_count>("wordCount"),
                      InstanceAccessor<&TrainerObject::distinct_words>("distinctWords"),
                      InstanceAccessor<&TrainerObject::byte_count>("byteCount"),
                      InstanceAccessor<&TrainerObject::min_word_count>("minWordCount"),
                      InstanceAccessor<&TrainerObject::words_left_out>("wordsLeftOut"),
                      InstanceAccessor<&TrainerObject::temporary_bytes>("temporaryBytes"),
                  });
  auto reference = std::make_shared<Napi::FunctionReference>(Napi::Persistent(constructor));
  reference->SuppressDestruct();
  const auto create = [reference, tokenizers](const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
      const Napi::Object trainer = reference->New({info[0]});
      TrainerObject::Unwrap(trainer)->tokenizers_ = tokenizers;
      return trainer;
    });
  };
  exports.Set("createTokenizerTrainer", Napi::Function::New(env, create, "createTokenizerTrainer"));
}

TrainerObject::TrainerObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TrainerObject>(info) {
  guarded(info.Env(), [&] {
    const Napi::Object given = object_argument(info, 0, "createTokenizerTrainer", "options");
    const bool lowercase = has_field(given, "lowercase") && given.Get("lowercase").ToBoolean().Value();
    trainer_ = std::make_shared<TokenizerTrainer>(read_type(given), lowercase, read_trainer_options(given));
  });
}

Napi::Value TrainerObject::add(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto texts = std::make_shared<Utf16Texts>(Utf16Texts::from_array(info[0], "add", "texts"));
    const auto run = [texts, trainer = trainer_, is_broken = is_broken_] {
      const Utf8Texts utf8(std::move(*texts));
      try {
        trainer->add(utf8.views());
      } catch (...) {
        *is_broken = true;
        throw;
      }
    };
    return enqueue(info, run, [](Napi::Env env) { return env.Undefined(); });
  });
}

Napi::Value TrainerObject::train(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    struct State {
      TokenizerTrainOptions options;
      TokenizerTrainResult result;
    };
    auto state = std::make_shared<State>();
    state->options = read_train_options(object_argument(info, 0, "train", "options"));
    const Napi::Function listener = function_argument(info, 1, "train", "onProgress");
    auto progress = std::make_shared<ProgressChannel>(env, listener);
    auto kept_listener = std::make_shared<Napi::FunctionReference>(Napi::Persistent(listener));
    state->options.on_progress = [progress](std::size_t merges, std::size_t total) { progress->send(merges, total); };
    const auto run = [state, trainer = trainer_] { state->result = trainer->train(state->options); };
    const auto settle = [this, state, progress, kept_listener,
                         tokenizers = tokenizers_](Napi::Env settling) -> Napi::Value {
      const std::shared_ptr<const TextTokenizer>& made = state->result.tokenizer;
      min_word_count_ = static_cast<double>(state->result.gathered.min_word_count);
      words_left_out_ = static_cast<double>(state->result.gathered.words_left_out);
      const EncoderPool* byte_level = made->byte_level();
      progress->finish(settling, kept_listener->Value(),
                       byte_level != nullptr ? byte_level->tokenizer().merges().size() : made->vocab_size());
      return TokenizerObject::create(settling, tokenizers, made);
    };
    return enqueue(info, run, settle, [progress] { progress->release(); });
  });
}

Napi::Value TrainerObject::word_count(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), word_count_);
}

Napi::Value TrainerObject::byte_count(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), byte_count_);
}

Napi::Value TrainerObject::min_word_count(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), min_word_count_);
}

Napi::Value TrainerObject::words_left_out(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), words_left_out_);
}

Napi::Value TrainerObject::temporary_bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), temporary_bytes_);
}

Napi::Value TrainerObject::memory_bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), memory_bytes_);
}

Napi::Value TrainerObject::distinct_words(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    if (!queue_.empty()) {
      throw Error("ENGINE_BUSY",
                  "The distinct words cannot be counted while the trainer works; wait for add and train first.");
    }
    check_not_broken();
    return Napi::Number::New(info.Env(), static_cast<double>(trainer_->words().distinct_words()));
  });
}

void TrainerObject::check_not_broken() const {
  if (*is_broken_) {
    throw Error(
        "ENGINE_DISPOSED",
        "The trainer cannot go on because counting words failed before; create another and add the texts again.");
  }
}

Napi::Value TrainerObject::enqueue(const Napi::CallbackInfo& info, PromiseWork::Run run, PromiseWork::Settle settle,
                                   PromiseWork::Done done) {
  const auto run_if_sound = [this, run = std::move(run)] {
    check_not_broken();
    run();
  };
  // The work keeps this object alive until it is done.
  auto* work =
      new PromiseWork(info.This().As<Napi::Object>(), run_if_sound, std::move(settle), [this, done = std::move(done)] {
        if (done) {
          done();
        }
        word_count_ = static_cast<double>(trainer_->words().word_count());
        byte_count_ = static_cast<double>(trainer_->words().byte_count());
        memory_bytes_ = static_cast<double>(trainer_->words().memory_bytes());
        temporary_bytes_ = static_cast<double>(trainer_->words().temporary_file_bytes());
        queue_.pop_front();
        start_next();
      });
  const Napi::Promise promise = work->promise();
  queue_.push_back(work);
  if (queue_.size() == 1) {
    start_next();
  }
  return promise;
}

void TrainerObject::start_next() {
  if (!queue_.empty()) {
    queue_.front()->Queue();
  }
}

} // namespace assay::binding
