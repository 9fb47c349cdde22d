#!/usr/bin/env bash
# The C kernels against plain sums in Float64, on every set of instructions that this processor has; and
# on NEON under qemu, where a cross compiler and qemu are installed.
#
#   Tests/kernels/check.sh    CC: the compiler (the clang of the Swift toolchain)
set -euo pipefail
cd "$(dirname "$0")/../.."
swift=$(command -v swift || true)
compiler=${CC:-$(dirname "$(realpath "${swift:-/usr/bin/none}")")/clang}
command -v "$compiler" > /dev/null || compiler=clang
# What the package compiles them with.
flags=$(sed -n '/name: "CKernels",$/,/linker/s/.*unsafeFlags(\[\(.*\)\]).*/\1/p' Package.swift | tr -d '",')
[ -n "$flags" ] || { echo "kernels: Package.swift names no flags" >&2; exit 1; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() { echo "kernels: $*" >&2; exit 1; }
objects() {  # objects FOLDER SOURCES FLAGS...: compiles the sources of a folder into another
  local into=$folder/$1 from=$2 source
  shift 2
  mkdir -p "$into"
  for source in "$from"/*.c; do
    # shellcheck disable=SC2086
    "$compiler" -std=gnu11 $flags -Wall -Wextra -Werror -ISources/CKernels/include "$@" -c "$source" \
      -o "$into/$(basename "$source" .c).o"
  done
}
link() {  # link PROGRAM KERNELS TESTS FLAGS...
  local program=$folder/$1 kernels=$folder/$2 tests=$folder/$3
  shift 3
  "$compiler" "$@" "$kernels"/*.o "$tests"/*.o -o "$program" -lm -lpthread
}
check() {  # check WHAT SET COMMAND...
  echo "$1:"
  local set=$2
  shift 2
  VITPROBE_KERNELS=$set timeout 600 "$@" "$set" || fail "$set: wrong"
}

objects tests Tests/kernels
objects shipped Sources/CKernels
link shipped-check shipped tests

# No kernel without a test.
missing=$(comm -23 \
  <(nm -g --defined-only "$folder"/shipped/*.o | awk '$3 ~ /^ck_[a-z0-9_]*$/ { print $3 }' | sort -u) \
  <(nm -g --undefined-only "$folder"/tests/*.o | awk '$2 ~ /^ck_/ { print $2 }' | sort -u))
[ -z "$missing" ] || fail "not tested:" $missing

best=$(env -u VITPROBE_KERNELS "$folder/shipped-check")
check "$best, as it is built for all processors" "$best" "$folder/shipped-check"

# Which set products take can be wished for; the other kernels take the best. So the others are compiled
# for each lesser set alone.
alone() {  # alone SET PROCESSOR
  objects "$1" Sources/CKernels -march="$2" -DCLONES=
  link "$1-check" "$1" tests
  check "$1, compiled for $2" "$1" "$folder/$1-check"
}
left_out=()
case $best in
  avx512f) alone avx2 x86-64-v3; alone sse2 x86-64 ;;
  avx2) alone sse2 x86-64; left_out+=("avx512f: this processor does not have it") ;;
  sse2) left_out+=("avx512f, avx2: this processor does not have them") ;;
esac

qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)
cross=(--target=aarch64-linux-gnu -static)
if [ "$best" = neon ]; then
  left_out+=("avx512f, avx2, sse2: this is an ARM processor")
elif [ -z "$qemu" ] ||
  ! echo 'int main(void) { return 0; }' |
    "$compiler" "${cross[@]}" -x c - -o "$folder/nothing" 2> /dev/null; then
  left_out+=("neon: needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user-static")
else
  objects neon Sources/CKernels --target=aarch64-linux-gnu
  objects neon-tests Tests/kernels --target=aarch64-linux-gnu
  link neon-check neon neon-tests "${cross[@]}"
  check "neon, under qemu" neon "$qemu" "$folder/neon-check"
fi
grep -qsw avx512_bf16 /proc/cpuinfo || left_out+=("avx512_bf16: this processor does not have it")
for one in "${left_out[@]}"; do echo "kernels: left out: $one" >&2; done
echo "kernels: passed"
