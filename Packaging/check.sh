#!/usr/bin/env bash
# Whether an installation is whole, goes away again without a trace, and makes a package; and whether
# check-toolchain.sh sees what it is for. Usage: check.sh PROGRAM
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "Packaging/check.sh: $1" >&2; exit 1; }

# An installation under a prefix with a space.
prefix="$work/a prefix"
Packaging/stage.sh "$program" "$prefix"
installed="$prefix/bin/vitprobe"
if ldd "$installed" | grep -Ei 'swift|Foundation|dispatch|not found'; then
  fail "the program needs a toolchain or a library that is not there"
fi
[ "$(env -i "$installed" --version)" = "$("$program" --version)" ] || fail "the version is another"
(cd / && env -i "$installed" fourier demo:vit --dry-run > "$work/log" 2>&1) || fail "the bundled data are not found: $(cat "$work/log")"
bash -n "$prefix/share/bash-completion/completions/vitprobe"
for shell in zsh fish; do
  file=$(find "$prefix/share/$shell" -type f)
  [ -s "$file" ] || fail "no completions for $shell"
  if command -v "$shell" > /dev/null; then "$shell" -n "$file"; fi
done
page="$prefix/share/man/man1/vitprobe.1.gz"
for words in '.SH EXIT STATUS' '.SS cka' '.SS merge' '\-\-figure\-width'; do
  zgrep -qF -- "$words" "$page" || fail "the manual page lacks $words"
done
if command -v man > /dev/null && [ -n "$(man --warnings -l "$page" 2>&1 > /dev/null)" ]; then
  fail "the manual page has faults"
fi
for name in LICENSE NOTICE LIBRARIES LICENSE.fashion-mnist; do
  [ -s "$prefix/share/doc/vitprobe/$name" ] || fail "$name is missing"
done

# What others put there stays.
touch "$prefix/bin/other"
Packaging/unstage.sh "$prefix"
[ "$(cd "$prefix" && find . -type f)" = ./bin/other ] || fail "uninstall left something or took too much"

# The same package twice.
deb=$(Packaging/deb.sh "$program" "$work/one")
cmp "$deb" "$(Packaging/deb.sh "$program" "$work/two")" || fail "the package differs from time to time"
grep -q 'libc6 (>= .*libopenblas0' <<< "$(dpkg-deb --field "$deb" Depends)" || fail "dependencies are not declared"
dpkg-deb --contents "$deb" > "$work/log"
grep -q ' root/root .*\./usr/bin/vitprobe$' "$work/log" || fail "the program is not in the package"

# A toolchain that is too old, one that does not start, none.
mkdir "$work/bin"
try() { PATH="$work/bin:/usr/bin:/bin" Packaging/check-toolchain.sh 2>&1; }
script() { printf '#!/bin/sh\n%s\n' "$1" > "$work/bin/swift"; chmod +x "$work/bin/swift"; }
script 'echo "Swift version 5.10.1 (swift-5.10.1-RELEASE)"'
if said=$(try); then fail "Swift 5.10.1 is taken"; fi
grep -q '5.10.1 .* is too old: 6.2 or later' <<< "$said" || fail "an old Swift: $said"
script 'echo "swift: error while loading shared libraries: libncurses.so.6" >&2; exit 127'
if said=$(try); then fail "a Swift that does not start is taken"; fi
grep -q 'does not start' <<< "$said" || fail "a Swift that does not start: $said"
script 'echo "Swift version 6.10 (swift-6.10-RELEASE)"'
said=$(try) || fail "Swift 6.10 is refused: $said"
echo "Packaging: an installation, its removal, a package"
