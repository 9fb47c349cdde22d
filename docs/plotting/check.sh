#!/usr/bin/env bash
# Draws every figure with gnuplot from the tables of the demo and fails if gnuplot fails, warns, or
# leaves a figure without marks. Usage: check.sh [FOLDER]; of another folder, figures whose table is
# not there are left out. Where python3 has pandas and matplotlib, figures.py draws them too, and where
# the folder has vitprobe's own figures, both are compared.
set -euo pipefail
folder=$(realpath -e "${1:-$(dirname "$0")/../../notebooks-data/demo}")
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
for pair in cka_curve:cka_curve cka_heatmap:cka fourier:fourier fourier_depth:fourier \
  variance:variance attention:attention hessian:hessian_density; do
  script=${pair%:*}
  if [ $# -gt 0 ] && [ ! -f "$folder/${pair#*:}.csv" ]; then continue; fi
  figure="$work/$script.svg"
  if ! gnuplot -e "folder='$folder'; out='$figure'" "$script.gp" > "$work/log" 2>&1; then
    echo "$script.gp: gnuplot failed" >&2
  elif [ -s "$work/log" ]; then
    echo "$script.gp: gnuplot has something to say" >&2
  elif ! grep -q '</svg>' "$figure" || ! grep -Eq '<(path|image|use|polygon)' "$figure"; then
    echo "$script.gp: the figure is incomplete" >&2
  else
    echo "$script.gp: ok"
    continue
  fi
  sed 's/^/  /' "$work/log" >&2
  failed=1
done
python=${PYTHON:-python3}
if "$python" -c 'import matplotlib, pandas' 2> "$work/log"; then
  if ! MPLCONFIGDIR="$work" "$python" figures.py "$folder" "$work/figures" > "$work/log" 2>&1; then
    echo "figures.py: failed" >&2
    sed 's/^/  /' "$work/log" >&2
    failed=1
  elif ls "$folder"/*.svg > /dev/null 2>&1; then
    "$python" compare.py "$folder" "$work/figures" || failed=1
  else
    echo "figures.py: ok"
  fi
else
  echo "figures.py: no pandas or matplotlib, not drawn" >&2
fi
exit $failed
