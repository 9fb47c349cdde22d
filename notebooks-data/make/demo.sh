#!/usr/bin/env bash
# Makes notebooks-data/demo again: the tables of `vitprobe demo` and their run.json, and the pictures
# of the documentation. Usage: notebooks-data/make/demo.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${1:-.build/release/vitprobe}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Named relative to here, the inputs stand in run.json without a path of this machine.
export VITPROBE_DATA=notebooks-data
"$program" demo --quiet --no-progress --format csv -o notebooks-data/demo > /dev/null

"$program" run demo:vit demo:refiner demo:resnet demo:alternet --limit 512 --format svg \
  --quiet --no-progress -o "$work/figures" > /dev/null
mkdir -p docs/images
for name in cka_curve cka_vit_resnet variance fourier_vit fourier_resnet; do
  cp "$work/figures/$name.svg" "docs/images/$name.svg"
done
cp "$work/figures/fourier_depth.svg" docs/images/demo.svg
