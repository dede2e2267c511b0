#include "binding/tokenizer-trainer-binding.h"

#include "binding/arguments.h"
#include "binding/failure.h"
#include "binding/tokenizer-texts.h"

#include "engine/base/error.h"
#include "engine/tokenizer/unigram-trainer.h"
#include "engine/tokenizer/wordpiece-trainer.h"

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
  if (has_field(object, "cut")) {
    const std::string cut = object.Get("cut").ToString().Utf8Value();
    if (cut != "gpt2" && cut != "white-space") {
      throw Error("BAD_ARGUMENT", "createTokenizerTrainer: cut is \"" + cut + "\"; it is gpt2 or white-space.");
    }
    options.cut = cut == "gpt2" ? WordCut::kGpt2 : WordCut::kWhiteSpace;
  }
  return options;
}

std::vector<std::string> texts_field(const Napi::Object& object, const char* where, const char* name) {
  std::vector<std::string> texts;
  if (has_field(object, name)) {
    const Utf8Texts given(Utf16Texts::from_array(object.Get(name), where, name));
    texts.assign(given.views().begin(), given.views().end());
  }
  return texts;
}

BpeTrainOptions read_train_options(const Napi::Object& object) {
  constexpr const char* kWhere = "train";
  BpeTrainOptions options;
  options.vocab_size = static_cast<std::uint32_t>(integer_field(object, "vocabSize", kWhere, 1, kLargestVocabulary));
  options.min_frequency =
      static_cast<std::uint64_t>(integer_field(object, "minFrequency", kWhere, 0, kLargestSafeInteger));
  options.special_tokens = texts_field(object, kWhere, "specialTokens");
  options.protected_words = texts_field(object, kWhere, "protectedWords");
  return options;
}

// What the trainers of pieces without merges give: pieces by id, and for unigram their log probabilities.
struct TrainedPieces {
  std::vector<std::string> pieces;
  std::vector<double> scores;
};

using Progress = std::function<void(std::size_t, std::size_t)>;

std::function<TrainedPieces(const WordStatistics&, const Progress&)>
read_wordpiece_options(const Napi::Object& object) {
  constexpr const char* kWhere = "trainWordPiece";
  WordPieceTrainOptions options;
  options.vocab_size = static_cast<std::uint32_t>(integer_field(object, "vocabSize", kWhere, 1, kLargestVocabulary));
  options.min_frequency =
      static_cast<std::uint64_t>(integer_field(object, "minFrequency", kWhere, 0, kLargestSafeInteger));
  options.special_tokens = texts_field(object, kWhere, "specialTokens");
  options.protected_words = texts_field(object, kWhere, "protectedWords");
  return [options](const WordStatistics& words, const Progress& progress) mutable {
    options.on_progress = progress;
    return TrainedPieces{train_wordpiece(words, options).pieces, {}};
  };
}

std::function<TrainedPieces(const WordStatistics&, const Progress&)> read_unigram_options(const Napi::Object& object) {
  constexpr const char* kWhere = "trainUnigram";
  UnigramTrainOptions options;
  options.vocab_size = static_cast<std::uint32_t>(integer_field(object, "vocabSize", kWhere, 1, kLargestVocabulary));
  options.threads = static_cast<unsigned>(integer_field(object, "threads", kWhere, 1, kMostThreads));
  options.special_tokens = texts_field(object, kWhere, "specialTokens");
  options.protected_words = texts_field(object, kWhere, "protectedWords");
  return [options](const WordStatistics& words, const Progress& progress) mutable {
    options.on_progress = progress;
    UnigramTrainResult result = train_unigram(words, options);
    return TrainedPieces{std::move(result.pieces), std::move(result.scores)};
  };
}

Napi::Value to_object(Napi::Env env, const TrainedPieces& trained) {
  const Napi::Object object = Napi::Object::New(env);
  const Napi::Array pieces = Napi::Array::New(env, trained.pieces.size());
  for (std::size_t id = 0; id < trained.pieces.size(); ++id) {
    pieces.Set(static_cast<std::uint32_t>(id), Napi::String::New(env, trained.pieces[id]));
  }
  object.Set("pieces", pieces);
  if (trained.scores.empty()) {
    object.Set("scores", env.Null());
  } else {
    Napi::Float64Array scores = Napi::Float64Array::New(env, trained.scores.size());
    std::copy(trained.scores.begin(), trained.scores.end(), scores.Data());
    object.Set("scores", scores);
  }
  return object;
}

} // namespace

void TrainerObject::define(Napi::Env env, Napi::Object exports, const TokenizerObject::Constructor& tokenizers) {
  const Napi::Function constructor = DefineClass(env, "TokenizerTrainer",
                                                 {
                                                     InstanceMethod<&TrainerObject::add>("add"),
                                                     InstanceMethod<&TrainerObject::train>("train"),
                                                     InstanceMethod<&TrainerObject::train_wordpiece>("trainWordPiece"),
                                                     InstanceMethod<&TrainerObject::train_unigram>("trainUnigram"),
                                                     InstanceMethod<&TrainerObject::memory_bytes>("memoryBytes"),
                                                     InstanceAccessor<&TrainerObject::word_count>("wordCount"),
                                                     InstanceAccessor<&TrainerObject::distinct_words>("distinctWords"),
                                                     InstanceAccessor<&TrainerObject::byte_count>("byteCount"),
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
    trainer_ = std::make_shared<BpeTrainer>(
        read_trainer_options(object_argument(info, 0, "createTokenizerTrainer", "options")));
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
      BpeTrainOptions options;
      std::optional<Tokenizer> tokenizer;
    };
    auto state = std::make_shared<State>();
    state->options = read_train_options(object_argument(info, 0, "train", "options"));
    const Napi::Function listener = function_argument(info, 1, "train", "onProgress");
    auto progress = std::make_shared<ProgressChannel>(env, listener);
    auto kept_listener = std::make_shared<Napi::FunctionReference>(Napi::Persistent(listener));
    state->options.on_progress = [progress](std::size_t merges, std::size_t total) { progress->send(merges, total); };
    const auto run = [state, trainer = trainer_] {
      state->tokenizer.emplace(trainer->train(state->options).tokenizer);
    };
    const auto settle = [state, progress, kept_listener, tokenizers = tokenizers_](Napi::Env settling) -> Napi::Value {
      progress->finish(settling, kept_listener->Value(), state->tokenizer->merges().size());
      return TokenizerObject::create(settling, tokenizers, std::move(*state->tokenizer));
    };
    return enqueue(info, run, settle, [progress] { progress->release(); });
  });
}

template <class Read>
Napi::Value TrainerObject::train_pieces(const Napi::CallbackInfo& info, const char* name, const Read& read) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    auto learn = read(object_argument(info, 0, name, "options"));
    const Napi::Function listener = function_argument(info, 1, name, "onProgress");
    auto progress = std::make_shared<ProgressChannel>(env, listener);
    auto kept_listener = std::make_shared<Napi::FunctionReference>(Napi::Persistent(listener));
    auto trained = std::make_shared<TrainedPieces>();
    const auto run = [trained, learn, progress, trainer = trainer_]() mutable {
      *trained =
          learn(trainer->words(), [progress](std::size_t done, std::size_t total) { progress->send(done, total); });
    };
    const auto settle = [trained, progress, kept_listener](Napi::Env settling) -> Napi::Value {
      progress->finish(settling, kept_listener->Value(), trained->pieces.size());
      return to_object(settling, *trained);
    };
    return enqueue(info, run, settle, [progress] { progress->release(); });
  });
}

Napi::Value TrainerObject::train_wordpiece(const Napi::CallbackInfo& info) {
  return train_pieces(info, "trainWordPiece", read_wordpiece_options);
}

Napi::Value TrainerObject::train_unigram(const Napi::CallbackInfo& info) {
  return train_pieces(info, "trainUnigram", read_unigram_options);
}

Napi::Value TrainerObject::word_count(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), word_count_);
}

Napi::Value TrainerObject::byte_count(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), byte_count_);
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
