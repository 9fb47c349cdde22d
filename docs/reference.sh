#!/usr/bin/env bash
# The reference of the libraries, a folder each in .build/reference, by the toolchain's own docc from the
# modules of a debug build. A link that leads nowhere, or a parameter that is not there, is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(dirname "$(realpath "$(command -v swift)")")
if [ ! -x "$tools/docc" ] || [ ! -x "$tools/swift-symbolgraph-extract" ]; then
  echo "This toolchain has no docc: the reference is not made." >&2
  exit 0
fi

swift build
build=$(swift build --show-bin-path)
options=(-target "$(swift -print-target-info | sed -n 's/.*"unversionedTriple": "\(.*\)".*/\1/p')"
  -I "$build/Modules" -minimum-access-level public -skip-synthesized-members)
for map in Sources/*/module.modulemap "$build"/C*.build/module.modulemap; do
  options+=(-Xcc "-fmodule-map-file=$map")
done

rm -rf .build/reference .build/symbols
mkdir -p .build/reference
failed=0
for library in DurableFiles SharedLibraries StrictJSON Tensors Checkpoints Images Reports Diagnostics Models VitProbe; do
  mkdir -p ".build/symbols/$library"
  "$tools/swift-symbolgraph-extract" -module-name "$library" "${options[@]}" \
    -output-dir ".build/symbols/$library"
  catalog="Sources/$library/$library.docc"
  [ -d "$catalog" ] || catalog=""
  said=$("$tools/docc" convert ${catalog:+"$catalog"} --ide-console-output \
    --additional-symbol-graph-dir ".build/symbols/$library" --output-path ".build/reference/$library" \
    --fallback-display-name "$library" --fallback-bundle-identifier "vitprobe.$library" 2>&1)
  # A parameter whose name says all needs no words.
  wrong=$(grep -E 'warning:|error:' <<< "$said" | grep -v 'is missing documentation' || true)
  [ -d ".build/reference/$library" ] || { echo "$said" >&2; failed=1; }
  [ -z "$wrong" ] || { echo "$wrong" >&2; failed=1; }
done
[ "$failed" = 0 ] || { echo "docs/reference.sh: the reference has faults" >&2; exit 1; }
echo "the reference is in .build/reference"
