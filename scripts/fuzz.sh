#!/usr/bin/env bash
# Builds the libFuzzer programs with clang and runs each for so many seconds (60 unless told) from its kept cases in
# test/fixtures/fuzz. New inputs go to build/fuzz; a finding is written there and its path printed, and this fails.
# usage: scripts/fuzz.sh [seconds] [safetensors|torch-archive|gguf|tokenizer-json|sentencepiece|vocab-txt|fast-bpe|
#   mds-tokens ...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  targets=(safetensors torch-archive gguf tokenizer-json sentencepiece vocab-txt fast-bpe mds-tokens)
fi
if ! command -v clang++ >/dev/null; then
  echo "clang++ was not found: install clang (on Debian: apt-get install clang), then run this again." >&2
  exit 1
fi
cmake -S native -B build/native-fuzz -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1" \
  -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DASSAY_FUZZ=ON -DASSAY_SANITIZE=ON -DASSAY_NODE=OFF \
  -DASSAY_TESTS=OFF -DASSAY_BENCH=OFF --log-level=WARNING
cmake --build build/native-fuzz -j "$(nproc)" --target "${targets[@]/#/fuzz-}"
failed=0
for target in "${targets[@]}"; do
  echo "== $target, $seconds s"
  mkdir -p "build/fuzz/$target"
  # -malloc_limit_mb: one allocation that a file's claim could have caused is a finding too.
  build/native-fuzz/fuzz/"fuzz-$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
    -malloc_limit_mb=512 -print_final_stats=1 -artifact_prefix="build/fuzz/$target-" \
    "build/fuzz/$target" "test/fixtures/fuzz/$target" 2>"build/fuzz/$target.log" || failed=1
  grep -E "ERROR|SUMMARY|Test unit written|runtime error|stat::number_of_executed_units|stat::peak_rss" "build/fuzz/$target.log" || true
done
exit $failed
