#include "binding/tokenizer-binding.h"

#include "binding/arguments.h"
#include "binding/failure.h"
#include "binding/tokenizer-encoding.h"
#include "binding/tokenizer-texts.h"
#include "binding/tokenizer-trainer-binding.h"
#include "binding/tokenizer-work.h"

#include "engine/base/error.h"
#include "engine/tokenizer/fast-bpe.h"
#include "engine/tokenizer/sentencepiece-model.h"
#include "engine/tokenizer/sentencepiece-writer.h"
#include "engine/tokenizer/text-tokenizer-json.h"
#include "engine/tokenizer/tiktoken-ranks.h"
#include "engine/tokenizer/tokenizer-json.h"
#include "engine/tokenizer/vocab-and-merges.h"
#include "engine/tokenizer/vocab-txt.h"

#include <algorithm>
#include <cstring>

namespace assay::binding {

namespace {

constexpr double kLargestId = 4294967295.0;
constexpr napi_type_tag kTypeTag = {0x8b0d3c2f5e6147a9ULL, 0x9f27d1c46b3e58a2ULL};

template <typename Array, typename Value> Array copy_to_array(Napi::Env env, const std::vector<Value>& values) {
  Array array = Array::New(env, values.size());
  if (!values.empty()) {
    std::memcpy(array.Data(), values.data(), values.size() * sizeof(Value));
  }
  return array;
}

Napi::Uint8Array copy_bytes(Napi::Env env, std::string_view bytes) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size());
  if (!bytes.empty()) {
    std::memcpy(array.Data(), bytes.data(), bytes.size());
  }
  return array;
}

// Views of a typed array that JavaScript passed, for the length of the call.
template <typename Array>
Array typed_argument(const Napi::Value& value, napi_typedarray_type type, const char* where, const std::string& what) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    bad_argument(where, what);
  }
  return value.As<Array>();
}

std::string_view bytes_argument(const Napi::Value& value, const char* where, const std::string& name) {
  const auto array = typed_argument<Napi::Uint8Array>(value, napi_uint8_array, where, name + " must be a Uint8Array");
  return {reinterpret_cast<const char*>(array.Data()), array.ElementLength()};
}

// A string in UTF-8, or a Uint8Array's bytes as they are, valid or not.
std::string text_argument(const Napi::Value& value, const char* where, const std::string& name) {
  if (value.IsTypedArray()) {
    return std::string(bytes_argument(value, where, name));
  }
  const Utf8Texts text(Utf16Texts::from_string(value, where, name.c_str()));
  return std::string(text.views().front());
}

Napi::Value queue_work(const Napi::CallbackInfo& info, PromiseWork::Run run, PromiseWork::Settle settle) {
  auto* work = new PromiseWork(info.This().As<Napi::Object>(), std::move(run), std::move(settle));
  const Napi::Promise promise = work->promise();
  work->Queue();
  return promise;
}

Napi::Value resolve_undefined(Napi::Env env) {
  return env.Undefined();
}

} // namespace

TokenizerObject::Constructor TokenizerObject::define(Napi::Env env) {
  const Napi::Function constructor =
      DefineClass(env, "Tokenizer",
                  {
                      InstanceAccessor<&TokenizerObject::vocab_size>("vocabSize"),
                      InstanceAccessor<&TokenizerObject::end_of_text_id>("endOfTextId"),
                      InstanceAccessor<&TokenizerObject::kind>("kind"),
                      InstanceAccessor<&TokenizerObject::lowercases>("lowercases"),
                      InstanceMethod<&TokenizerObject::encode>("encode"),
                      InstanceMethod<&TokenizerObject::encode_text>("encodeText"),
                      InstanceMethod<&TokenizerObject::encode_texts>("encodeTexts"),
                      InstanceMethod<&TokenizerObject::piece>("piece"),
                      InstanceMethod<&TokenizerObject::id_of_piece>("idOfPiece"),
                      InstanceMethod<&TokenizerObject::role_id>("roleId"),
                      InstanceMethod<&TokenizerObject::word_starts>("wordStarts"),
                      InstanceMethod<&TokenizerObject::encode_batch>("encodeBatch"),
                      InstanceMethod<&TokenizerObject::decode>("decode"),
                      InstanceMethod<&TokenizerObject::token_bytes>("tokenBytes"),
                      InstanceMethod<&TokenizerObject::id_of_bytes>("idOfBytes"),
                      InstanceMethod<&TokenizerObject::merges>("merges"),
                      InstanceMethod<&TokenizerObject::words>("words"),
                      InstanceMethod<&TokenizerObject::piece_scores>("pieceScores"),
                      InstanceMethod<&TokenizerObject::word_piece_limits>("wordPieceLimits"),
                      InstanceMethod<&TokenizerObject::save_tokenizer_json>("saveTokenizerJson"),
                      InstanceMethod<&TokenizerObject::save_vocab_txt>("saveVocabTxt"),
                      InstanceMethod<&TokenizerObject::save_vocab_and_merges>("saveVocabAndMerges"),
                      InstanceMethod<&TokenizerObject::save_sentencepiece>("saveSentencePiece"),
                  });
  auto reference = std::make_shared<Napi::FunctionReference>(Napi::Persistent(constructor));
  reference->SuppressDestruct();
  return reference;
}

Napi::Object TokenizerObject::create(Napi::Env env, const Constructor& constructor, Tokenizer tokenizer) {
  return create(env, constructor,
                std::make_shared<const TextTokenizer>(std::make_shared<const Tokenizer>(std::move(tokenizer))));
}

Napi::Object TokenizerObject::create(Napi::Env env, const Constructor& constructor, SharedTokenizer tokenizer) {
  return constructor->New({Napi::External<SharedTokenizer>::New(env, &tokenizer)});
}

std::shared_ptr<const TextTokenizer> TokenizerObject::unwrap(const Napi::Value& value, const char* where) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTypeTag)) {
    bad_argument(where, "tokenizer must be one that the engine loaded or trained");
  }
  return Napi::ObjectWrap<TokenizerObject>::Unwrap(value.As<Napi::Object>())->tokenizer_;
}

TokenizerObject::TokenizerObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TokenizerObject>(info) {
  guarded(info.Env(), [&] {
    if (!info[0].IsExternal()) {
      bad_argument("Tokenizer",
                   "a tokenizer is made by loadTokenizer, loadVocabAndMerges, tokenizerFromRanks or train");
    }
    tokenizer_ = *info[0].As<Napi::External<SharedTokenizer>>().Data();
    info.This().As<Napi::Object>().TypeTag(&kTypeTag);
  });
}

const Tokenizer& TokenizerObject::byte_level(const char* where) const {
  const auto* tokenizer = std::get_if<std::shared_ptr<const Tokenizer>>(&tokenizer_->parts().model);
  if (tokenizer == nullptr) {
    throw assay::Error("NOT_SUPPORTED",
                       std::string(where) + " needs byte-level BPE, and this tokenizer is of another kind.");
  }
  return **tokenizer;
}

Napi::Value TokenizerObject::vocab_size(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), tokenizer_->vocab_size());
}

Napi::Value TokenizerObject::end_of_text_id(const Napi::CallbackInfo& info) {
  EncoderPool* const pool = tokenizer_->byte_level();
  auto id = pool == nullptr ? tokenizer_->role_id("eos") : pool->tokenizer().end_of_text_id();
  if (!id.has_value() && pool == nullptr) {
    // BERT's texts end with it.
    id = tokenizer_->role_id("sep");
  }
  return id.has_value() ? Napi::Number::New(info.Env(), *id) : info.Env().Null();
}

Napi::Value TokenizerObject::encode(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const std::string text = text_argument(info[0], "encode", "text");
    if (tokenizer_->byte_level() == nullptr) {
      EncodeOptions options;
      options.add_special_tokens = false;
      const TextEncoding encoding = tokenizer_->encode(text, options);
      return encoding_object(env, encoding);
    }
    const TokenIds ids = tokenizer_->byte_level()->encode(text);
    Napi::Uint32Array starts = Napi::Uint32Array::New(env, ids.size());
    Napi::Uint32Array ends = Napi::Uint32Array::New(env, ids.size());
    std::uint32_t* start = starts.Data();
    std::uint32_t* end = ends.Data();
    // Tokens tile the text.
    std::uint32_t at = 0;
    for (const std::uint32_t id : ids) {
      *start++ = at;
      at += tokenizer_->byte_level()->tokenizer().token_length(id);
      *end++ = at;
    }
    Napi::Object encoding = Napi::Object::New(env);
    encoding.Set("ids", copy_to_array<Napi::Uint32Array>(env, ids));
    encoding.Set("starts", starts);
    encoding.Set("ends", ends);
    return encoding;
  });
}

Napi::Value TokenizerObject::kind(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), kind_name(tokenizer_->kind()));
}

Napi::Value TokenizerObject::lowercases(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), tokenizer_->lowercases());
}

Napi::Value TokenizerObject::encode_text(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kWhere = "encodeText";
    const EncodeOptions options = encode_options(info[1], kWhere);
    const std::string text = text_argument(info[0], kWhere, "text");
    if (info[1].IsObject() && has_field(info[1].As<Napi::Object>(), "pair")) {
      const std::string pair = text_argument(info[1].As<Napi::Object>().Get("pair"), kWhere, "pair");
      return encoding_object(info.Env(), tokenizer_->encode_pair(text, pair, options));
    }
    return encoding_object(info.Env(), tokenizer_->encode(text, options));
  });
}

Napi::Value TokenizerObject::encode_texts(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    struct State {
      Utf16Texts texts;
      std::vector<TextEncoding> encodings;
    };
    auto state = std::make_shared<State>();
    state->texts = Utf16Texts::from_array(info[0], "encodeTexts", "texts");
    const EncodeOptions options = encode_options(info[1], "encodeTexts");
    const unsigned threads = thread_option(info[1], "encodeTexts");
    const auto run = [state, options, threads, tokenizer = tokenizer_] {
      const Utf8Texts texts(std::move(state->texts));
      state->encodings = tokenizer->encode_batch(texts.views(), options, threads);
    };
    const auto settle = [state](Napi::Env env) -> Napi::Value {
      Napi::Array encodings = Napi::Array::New(env, state->encodings.size());
      for (std::size_t index = 0; index < state->encodings.size(); ++index) {
        const Napi::HandleScope scope(env);
        encodings.Set(static_cast<std::uint32_t>(index), encoding_object(env, state->encodings[index]));
      }
      return encodings;
    };
    return queue_work(info, run, settle);
  });
}

Napi::Value TokenizerObject::piece(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::int64_t id = integer_argument(info, 0, "piece", "id", 0, kLargestId);
    return Napi::String::New(info.Env(), tokenizer_->piece(static_cast<std::uint32_t>(id)));
  });
}

Napi::Value TokenizerObject::id_of_piece(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto id = tokenizer_->id_of_piece(string_argument(info, 0, "idOfPiece", "piece"));
    return id.has_value() ? Napi::Number::New(info.Env(), *id) : info.Env().Null();
  });
}

Napi::Value TokenizerObject::role_id(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto id = tokenizer_->role_id(string_argument(info, 0, "roleId", "role"));
    return id.has_value() ? Napi::Number::New(info.Env(), *id) : info.Env().Null();
  });
}

Napi::Value TokenizerObject::word_starts(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Napi::Uint8Array starts = Napi::Uint8Array::New(info.Env(), tokenizer_->vocab_size());
    for (std::uint32_t id = 0; id < tokenizer_->vocab_size(); ++id) {
      starts.Data()[id] = tokenizer_->starts_word(id) ? 1 : 0;
    }
    return starts;
  });
}

Napi::Value TokenizerObject::encode_batch(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    struct State {
      Utf16Texts texts;
      std::vector<double> text_bytes;
      EncodedBatch batch;
    };
    auto state = std::make_shared<State>();
    state->texts = Utf16Texts::from_array(info[0], "encodeBatch", "texts");
    const unsigned threads = thread_option(info[1], "encodeBatch");
    const auto run = [state, threads, tokenizer = tokenizer_] {
      const Utf8Texts texts(std::move(state->texts));
      const std::vector<std::string_view> views = texts.views();
      state->batch = tokenizer->encode_ids(views, threads);
      for (const std::string_view view : views) {
        state->text_bytes.push_back(static_cast<double>(view.size()));
      }
    };
    const auto settle = [state](Napi::Env env) -> Napi::Value {
      Napi::Float64Array offsets = Napi::Float64Array::New(env, state->batch.offsets.size());
      std::copy(state->batch.offsets.begin(), state->batch.offsets.end(), offsets.Data());
      Napi::Object encoded = Napi::Object::New(env);
      encoded.Set("ids", copy_to_array<Napi::Uint32Array>(env, state->batch.ids));
      encoded.Set("offsets", offsets);
      encoded.Set("textBytes", copy_to_array<Napi::Float64Array>(env, state->text_bytes));
      return encoded;
    };
    return queue_work(info, run, settle);
  });
}

Napi::Value TokenizerObject::decode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto ids =
        typed_argument<Napi::Uint32Array>(info[0], napi_uint32_array, "decode", "ids must be a Uint32Array");
    const bool skips = info[1].IsBoolean() && info[1].As<Napi::Boolean>().Value();
    return copy_bytes(info.Env(), tokenizer_->decode(std::span(ids.Data(), ids.ElementLength()), skips));
  });
}

Napi::Value TokenizerObject::token_bytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::int64_t id = integer_argument(info, 0, "tokenBytes", "id", 0, kLargestId);
    return copy_bytes(info.Env(), tokenizer_->token_bytes(static_cast<std::uint32_t>(id)));
  });
}

Napi::Value TokenizerObject::id_of_bytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto id = tokenizer_->id_of_bytes(bytes_argument(info[0], "idOfBytes", "bytes"));
    return id.has_value() ? Napi::Number::New(info.Env(), *id) : info.Env().Null();
  });
}

Napi::Value TokenizerObject::merges(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const std::span<const Merge> merges = byte_level("merges").merges();
    Napi::Array pairs = Napi::Array::New(env, merges.size());
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
      const Napi::HandleScope scope(env);
      Napi::Array pair = Napi::Array::New(env, 2);
      pair.Set(0U, merges[rank].left);
      pair.Set(1U, merges[rank].right);
      pairs.Set(static_cast<std::uint32_t>(rank), pair);
    }
    return pairs;
  });
}

// The words of a text as the model gets them: normalized and cut. Added tokens are taken for text.
Napi::Value TokenizerObject::words(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Utf8Texts given(Utf16Texts::from_string(info[0], "words", "text"));
    if (tokenizer_->byte_level() != nullptr) {
      throw assay::Error("NOT_SUPPORTED", "words: byte-level BPE cuts texts on its own; its words are in encodeText.");
    }
    const std::string_view original = given.views().front();
    AlignedText text(original, {0, static_cast<std::uint32_t>(original.size())});
    normalize(text, tokenizer_->parts().normalizer);
    Napi::Array words = Napi::Array::New(env);
    for (const Stretch& word : split(text, tokenizer_->parts().splitter, true)) {
      words.Set(words.Length(), Napi::String::New(env, text.text().data() + word.begin, word.end - word.begin));
    }
    return words;
  });
}

// Log probabilities by id, NaN for tokens that are none of the model's pieces; null for other kinds than unigram.
Napi::Value TokenizerObject::piece_scores(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto* unigram = std::get_if<UnigramModel>(&tokenizer_->parts().model);
    return unigram == nullptr ? info.Env().Null()
                              : copy_to_array<Napi::Float64Array>(info.Env(), unigram->scores).As<Napi::Value>();
  });
}

// What WordPiece goes by besides its pieces; null for other kinds.
Napi::Value TokenizerObject::word_piece_limits(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto* model = std::get_if<WordPieceModel>(&tokenizer_->parts().model);
    if (model == nullptr) {
      return env.Null();
    }
    Napi::Object limits = Napi::Object::New(env);
    limits.Set("continuingPrefix", model->continuing_prefix);
    limits.Set("maxWordCharacters", Napi::Number::New(env, static_cast<double>(model->max_word_characters)));
    return limits;
  });
}

Napi::Value TokenizerObject::save_tokenizer_json(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string file = string_argument(info, 0, "saveTokenizerJson", "file");
    return queue_work(
        info, [file, tokenizer = tokenizer_] { write_tokenizer_json(*tokenizer, file); }, resolve_undefined);
  });
}

Napi::Value TokenizerObject::save_vocab_txt(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string file = string_argument(info, 0, "saveVocabTxt", "file");
    return queue_work(
        info, [file, tokenizer = tokenizer_] { write_vocab_txt(*tokenizer, file); }, resolve_undefined);
  });
}

Napi::Value TokenizerObject::save_sentencepiece(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string file = string_argument(info, 0, "saveSentencePiece", "file");
    return queue_work(
        info, [file, tokenizer = tokenizer_] { write_sentencepiece_model(*tokenizer, file); }, resolve_undefined);
  });
}

Napi::Value TokenizerObject::save_vocab_and_merges(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string directory = string_argument(info, 0, "saveVocabAndMerges", "directory");
    byte_level("saveVocabAndMerges");
    if (tokenizer_->byte_level() == nullptr) {
      throw assay::Error("NOT_SUPPORTED",
                         "vocab.json and merges.txt cannot express this tokenizer: it does not cut text as "
                         "GPT-2 does; write tokenizer.json instead.");
    }
    return queue_work(
        info,
        [directory, tokenizer = tokenizer_] {
          write_vocab_and_merges(tokenizer->byte_level()->tokenizer(), directory);
        },
        resolve_undefined);
  });
}

namespace {

Tokenizer read_ranks(const Napi::CallbackInfo& info) {
  constexpr const char* kWhere = "tokenizerFromRanks";
  if (!info[0].IsArray()) {
    bad_argument(kWhere, "tokens must be an array of Uint8Array");
  }
  const Napi::Array tokens = info[0].As<Napi::Array>();
  std::vector<std::string> ranks;
  ranks.reserve(tokens.Length());
  for (std::uint32_t id = 0; id < tokens.Length(); ++id) {
    const Napi::HandleScope scope(info.Env());
    ranks.emplace_back(bytes_argument(tokens.Get(id), kWhere, "tokens[" + std::to_string(id) + "]"));
  }
  const Napi::Object named = object_argument(info, 1, kWhere, "specialTokens");
  const Napi::Array names = named.GetPropertyNames();
  std::vector<std::pair<std::string, std::uint32_t>> specials;
  for (std::uint32_t index = 0; index < names.Length(); ++index) {
    const std::string name = names.Get(index).ToString().Utf8Value();
    specials.emplace_back(name, static_cast<std::uint32_t>(integer_field(named, name.c_str(), kWhere, 0, kLargestId)));
  }
  return tokenizer_from_ranks(std::move(ranks), specials);
}

} // namespace

void register_tokenizer(Napi::Env env, Napi::Object exports) {
  const TokenizerObject::Constructor constructor = TokenizerObject::define(env);
  const auto add = [&](const char* name, auto make) {
    exports.Set(name, Napi::Function::New(
                          env,
                          [constructor, make](const Napi::CallbackInfo& info) {
                            return guarded(info.Env(), [&]() -> Napi::Value {
                              return TokenizerObject::create(info.Env(), constructor, make(info));
                            });
                          },
                          name));
  };
  add("loadTokenizer", [](const Napi::CallbackInfo& info) {
    return open_tokenizer_json(string_argument(info, 0, "loadTokenizer", "file"),
                               token_roles(info[1], "loadTokenizer"));
  });
  add("tokenizerFromJson", [](const Napi::CallbackInfo& info) {
    return parse_any_tokenizer_json(string_argument(info, 0, "tokenizerFromJson", "json"),
                                    string_argument(info, 1, "tokenizerFromJson", "source"));
  });
  add("loadSentencePiece", [](const Napi::CallbackInfo& info) -> TokenizerObject::SharedTokenizer {
    const std::string file = string_argument(info, 0, "loadSentencePiece", "file");
    return std::make_shared<const TextTokenizer>(read_sentencepiece_model(file), file);
  });
  add("loadFastBpe", [](const Napi::CallbackInfo& info) -> TokenizerObject::SharedTokenizer {
    const std::string codes = string_argument(info, 0, "loadFastBpe", "codesFile");
    const std::string dictionary = string_argument(info, 1, "loadFastBpe", "dictionaryFile");
    const bool with_moses =
        !info[2].IsObject() || flag_field(info[2].As<Napi::Object>(), "moses", "loadFastBpe").value_or(true);
    return std::make_shared<const TextTokenizer>(read_fast_bpe(codes, dictionary, with_moses), codes);
  });
  add("loadVocabAndMerges", [](const Napi::CallbackInfo& info) {
    return read_vocab_and_merges(string_argument(info, 0, "loadVocabAndMerges", "vocabFile"),
                                 string_argument(info, 1, "loadVocabAndMerges", "mergesFile"));
  });
  add("loadVocabTxt", [](const Napi::CallbackInfo& info) -> TokenizerObject::SharedTokenizer {
    const std::string file = string_argument(info, 0, "loadVocabTxt", "file");
    TextTokenizerParts parts = read_vocab_txt(file, bert_options(info[1]));
    parts.roles = token_roles(info[1], "loadVocabTxt");
    return std::make_shared<const TextTokenizer>(std::move(parts), file);
  });
  add("tokenizerFromRanks", read_ranks);
  TrainerObject::define(env, exports, constructor);
}

} // namespace assay::binding
