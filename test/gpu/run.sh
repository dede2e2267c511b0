#!/usr/bin/env bash
# Proves the CUDA backend on the GPU of this machine, and then measures it. Needs nvcc, CMake, a C++ compiler and a
# python3 with torch (2.x); with node on the PATH also a real run that is killed and resumed.
#   test/gpu/run.sh [--quick] [--no-bench] [--out DIR]
# --quick: fewer shapes and rounds. Ends with one table of steps and a status other than 0 where one failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

quick=0 bench=1 out=build/gpu/results
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) quick=1 ;;
    --no-bench) bench=0 ;;
    --out) shift; out=${1:?"--out needs a folder"} ;;
    *) echo "usage: test/gpu/run.sh [--quick] [--no-bench] [--out DIR]" >&2; exit 2 ;;
  esac
  shift
done
mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd)

names=() states=() notes=()
note() { names+=("$1"); states+=("$2"); notes+=("$3"); echo "== $1: $2 $3"; }
# step NAME COMMAND…: its output goes to a file; the note is its last line.
step() {
  local name=$1 log="$out/${1// /-}.log" start=$SECONDS
  shift
  if "$@" >"$log" 2>&1; then
    note "$name" passed "$((SECONDS - start)) s. $(tail -n 1 "$log" | cut -c1-160)"
  else
    tail -n 40 "$log"
    note "$name" FAILED "$((SECONDS - start)) s, see $log"
    return 1
  fi
}
finish() {
  echo
  printf '| %-34s | %-7s | %s |\n' step result note
  printf '| %-34s | %-7s | %s |\n' ---------------------------------- ------- ---
  local failed=0 skipped=0
  for i in "${!names[@]}"; do
    printf '| %-34s | %-7s | %s |\n' "${names[$i]}" "${states[$i]}" "${notes[$i]}"
    [ "${states[$i]}" = FAILED ] && failed=$((failed + 1))
    [ "${states[$i]}" = skipped ] && skipped=$((skipped + 1))
  done
  echo "$((${#names[@]} - failed - skipped)) passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
  exit $?
}

if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L >"$out/devices.txt" 2>&1; then
  note "GPU" skipped "no NVIDIA driver answers on this machine (nvidia-smi); everything here needs one"
  finish
fi
cat "$out/devices.txt"
for program in nvcc cmake python3; do
  PATH="$PATH:/usr/local/cuda/bin"
  command -v "$program" >/dev/null || { note "$program" FAILED "is not on the PATH; install it first"; finish; }
done

generator=()
command -v ninja >/dev/null && generator=(-G Ninja)
node_option=(-DASSAY_NODE=OFF) targets=()
command -v node >/dev/null && [ -d node_modules ] && node_option=(-DASSAY_NODE=ON) targets=(assay_node)
# "9.0" → 90a: Hopper's own instructions need the letter.
architectures=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | tr -d '. ' | sed 's/^90$/90a/' | sort -u | paste -sd ';')
build() {
  cmake -S native -B build/gpu "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DASSAY_CUDA=ON \
    "-DASSAY_CUDA_ARCHITECTURES=$architectures" "${node_option[@]}" &&
    cmake --build build/gpu --parallel "$(nproc)" --target assay-cuda gpu-tests bench-cuda "${targets[@]}"
}
step "build" build || finish
export ASSAY_CUDA_BACKEND="$PWD/build/gpu/backends/cuda/libassay-cuda.so"

# Every operation beside the CPU backend, and whole models; the same programs that run in the emulation elsewhere.
for program in build/gpu/tests/gpu-test-*; do
  step "$(basename "$program")" "$program"
done

# The sanitizer comes with the toolkit; pip's torch sometimes brings the only copy.
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
for tool in memcheck racecheck; do
  if [ -z "$sanitizer" ]; then
    note "compute-sanitizer $tool" skipped "compute-sanitizer is not on this machine"
    continue
  fi
  for program in build/gpu/tests/gpu-test-*; do
    case "$program" in *cuda-model*) continue ;; esac # racecheck takes hours on whole models
    step "$tool $(basename "$program")" "$sanitizer" --tool "$tool" --error-exitcode 3 "$program"
  done
done

# 200 updates from the same weights on the same batches as PyTorch, and once more for the same bits.
losses() {
  python3 bench/gpu/tokens.py --text resources/sample/abstracts.jsonl --vocabulary 8192 --context 512 --batch 16 \
    --steps 200 --out "$out/tokens.bin" &&
    build/gpu/bench/bench-cuda loss --tokens "$out/tokens.bin" --weights "$out/initial.safetensors" \
      --out "$out/losses.json" --final "$out/final.safetensors"
}
step "200 training steps" losses && {
  step "losses beside PyTorch" python3 bench/gpu/torch_loss.py --weights "$out/initial.safetensors" \
    --tokens "$out/tokens.bin" --losses "$out/losses.json"
  again() {
    build/gpu/bench/bench-cuda loss --tokens "$out/tokens.bin" --weights "$out/again-initial.safetensors" \
      --out "$out/again.json" --final "$out/again.safetensors" &&
      cmp "$out/losses.json" "$out/again.json" && cmp "$out/final.safetensors" "$out/again.safetensors" &&
      echo "losses and weights are equal in every bit"
  }
  step "two runs bit-equal" again
}

# A real run in its own process, killed at six places and resumed: the weights of one that was never interrupted.
if [ -f build/gpu/binding/assay.node ]; then
  step "kill -9 and resume" env ASSAY_ADDON="$PWD/build/gpu/binding/assay.node" ASSAY_TEST_DEVICE=cuda:0 \
    npx vitest run test/integration/crash.test.ts
else
  note "kill -9 and resume" skipped "node or node_modules is not here"
fi

if [ "$bench" -eq 1 ]; then
  options=(--rounds 3)
  [ "$quick" -eq 1 ] && options=(--rounds 1 --steps 4 --shape gpt2-124m --shape biomedlm-2.7b)
  step "benches" python3 bench/gpu/compare.py --bench build/gpu/bench/bench-cuda --out "$out/bench.json" "${options[@]}"
  cat "$out/benches.log"
fi
finish
