#!/usr/bin/env bash
# Fuzzes every reader: Fuzzing/run.sh [--smoke] [SECONDS per target, 10] [TARGET...]
#
# Prints a line for each target: inputs run, inputs per second, edges of the code reached. Inputs that
# reach new code go to $VITPROBE_FUZZ (default .build/inputs) and serve the next run; one that traps,
# hangs for 60 s or asks for more than 512 MB at once is saved there as TARGET-crash-*, and the script
# fails. Every crasher is to be put into Corpus/TARGET, where the tests replay it.
#
# --smoke is for every change: compiled without optimisation, which takes a third of the time, and
# starting from the corpus and one seed each time.
#
# --build, behind --smoke, only builds. --available only says whether the toolchain can link libFuzzer.
set -euo pipefail
cd "$(dirname "$0")"

available() {  # links the smallest target
  local folder status=0
  folder=$(mktemp -d)
  cat >"$folder/probe.swift" <<'SWIFT'
@_cdecl("LLVMFuzzerTestOneInput")
func probe(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt { 0 }
SWIFT
  swiftc -parse-as-library -sanitize=fuzzer,address -use-ld=lld -o "$folder/probe" \
    "$folder/probe.swift" >"$folder/log" 2>&1 || status=1
  rm -rf "$folder"
  return $status
}

build=.build
options=()
flags=()
case ${1:-} in
  --available) available && exit 0 || exit 1 ;;
  --smoke)
    shift
    build=.build-smoke
    options=(-seed=1)
    flags=(-Xswiftc -Onone)
    rm -rf "$build/inputs"
    ;;
esac
only_builds=
if [ "${1:-}" = --build ]; then
  only_builds=1
  shift
fi
seconds=${1:-10}
shift || true
if [ $# -gt 0 ]; then
  targets=("$@")
else
  targets=(safetensors numpy torch pickle stream deflated tied graph onnx json config png jpeg netpbm bmp tiff
    webp idx cifar array labels features taps subject)
fi
inputs=${VITPROBE_FUZZ:-$build/inputs}

# Edges are counted in every Swift and C module of the tool; AddressSanitizer watches both.
swift build -c release --product fuzz --sanitize=address --scratch-path "$build" \
  -Xswiftc -sanitize=fuzzer "${flags[@]}" \
  -Xcc -fsanitize=fuzzer-no-link -Xcc -Wno-unused-command-line-argument
[ -z "$only_builds" ] || exit 0

failed=0
printf '%-12s %12s %10s %8s\n' target inputs inputs/s edges
for target in "${targets[@]}"; do
  mkdir -p "$inputs/$target"
  log="$inputs/$target.log"
  # Leaks are left to the sanitized tests: a failed allocation in the middle of a parse is not one.
  ASAN_OPTIONS=detect_leaks=0 OPENBLAS_NUM_THREADS=1 "$build/release/fuzz" "$target" \
    -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 -malloc_limit_mb=512 \
    -max_len=$([ "$target" = graph ] && echo 65536 || echo 8192) -print_final_stats=1 -artifact_prefix="$inputs/$target-" "${options[@]}" \
    "$inputs/$target" "Corpus/$target" >"$log" 2>&1 || {
    failed=1
    echo "$target: FAILED, the end of $PWD/$log:"
    tail -n 40 "$log"
  }
  awk -v target="$target" '
    /cov:/ { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
    /number_of_executed_units/ { inputs = $2 }
    /average_exec_per_sec/ { rate = $2 }
    END { printf "%-12s %12d %10d %8d\n", target, inputs, rate, edges }' "$log"
done
exit $failed
