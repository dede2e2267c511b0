#include "binding/shard-binding.h"

#include "binding/arguments.h"
#include "binding/failure.h"
#include "binding/tokenizer-work.h"

#include "engine/data/xxh64.h"
#include "engine/data/zstd.h"

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace assay::binding {

namespace {

std::span<const std::byte> bytes_argument(const Napi::CallbackInfo& info, const char* where) {
  if (info.Length() < 1 || !info[0].IsTypedArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    bad_argument(where, "bytes must be a Uint8Array");
  }
  const auto array = info[0].As<Napi::Uint8Array>();
  return {reinterpret_cast<const std::byte*>(array.Data()), array.ByteLength()};
}

// Reads the array where it lies: the promise keeps it alive, and its caller does not write to it meanwhile.
Napi::Value transform(const Napi::CallbackInfo& info, std::span<const std::byte> bytes,
                      std::vector<std::byte> (*work)(std::span<const std::byte>, std::int64_t),
                      std::int64_t parameter) {
  auto out = std::make_shared<std::vector<std::byte>>();
  auto* job = new PromiseWork(
      info[0].As<Napi::Object>(), [out, bytes, work, parameter] { *out = work(bytes, parameter); },
      [out](Napi::Env env) -> Napi::Value {
        auto array = Napi::Uint8Array::New(env, out->size());
        if (!out->empty()) {
          std::memcpy(array.Data(), out->data(), out->size());
        }
        return array;
      });
  const Napi::Promise promise = job->promise();
  job->Queue();
  return promise;
}

Napi::Value compress(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto bytes = bytes_argument(info, "compressZstd");
    const std::int64_t level = integer_argument(info, 1, "compressZstd", "level", 1, 22);
    return transform(
        info, bytes,
        [](std::span<const std::byte> from, std::int64_t at) { return zstd_compress(from, static_cast<int>(at)); },
        level);
  });
}

Napi::Value decompress(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto bytes = bytes_argument(info, "decompressZstd");
    const std::int64_t largest = integer_argument(info, 1, "decompressZstd", "largestBytes", 0, kLargestSafeInteger);
    return transform(
        info, bytes,
        [](std::span<const std::byte> from, std::int64_t most) {
          return zstd_decompress(from, static_cast<std::uint64_t>(most));
        },
        largest);
  });
}

Napi::Value hash(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::uint64_t value = xxh64(bytes_argument(info, "xxh64"));
    std::string digits(16, '0');
    for (std::size_t index = 0; index < digits.size(); ++index) {
      digits[index] = "0123456789abcdef"[(value >> (60 - 4 * index)) & 15U];
    }
    return Napi::String::New(info.Env(), digits);
  });
}

} // namespace

void register_shards(Napi::Env env, Napi::Object exports) {
  exports.Set("compressZstd", Napi::Function::New(env, compress, "compressZstd"));
  exports.Set("decompressZstd", Napi::Function::New(env, decompress, "decompressZstd"));
  exports.Set("xxh64", Napi::Function::New(env, hash, "xxh64"));
}

} // namespace assay::binding
