#!/usr/bin/env bash
# The build with the trait MPI under mpirun, against a build without it: values, failures, signals.
#
#   Tests/mpi/check.sh [PLAIN]    PLAIN: the program built without MPI (.build/release/vitprobe)
#   Tests/mpi/check.sh --build    only the build
set -euo pipefail
cd "$(dirname "$0")/../.."
# Without optimisation of the Swift code and with its checks, which takes a third of the time; the sums are
# made in C.
swift build -c release --product vitprobe --traits MPI --scratch-path .build-mpi -Xswiftc -Onone
[ "${1:-}" != --build ] || exit 0
plain=$(realpath "${1:-.build/release/vitprobe}")
program=$PWD/.build-mpi/release/vitprobe

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo "not a folder" > file

ranks() {  # ranks N COMMAND...: a launcher that hangs, for LIMIT seconds, is a failure
  local count=$1
  shift
  timeout "${LIMIT:-600}" mpirun --allow-run-as-root --oversubscribe --bind-to none -n "$count" "$@"
}
fail() { echo "mpi: $*" >&2; exit 1; }

# Five minibatches, the last of 3 images; with 7 ranks two have none. Steps enough for the values to converge: until
# then they hang on the rounding of every product.
job=(hessian demo:vit --scope dataset --limit 35 --batch-size 8 --steps 16 --top 3 --tol 0.01
  --trace 4 --threads 1 --quiet)
ends=(hessian demo:vit --scope dataset --limit 35 --batch-size 8 --threads 1 --no-progress)

# same FILE A B: equal but for the numbers in LIMITS, which may differ by that part of the largest in
# their column.
same() {
  awk -F, -v limits="$4" '
    BEGIN { n = split(limits, part, " "); for (i = 1; i <= n; i++) { split(part[i], p, "="); limit[p[1]] = p[2] } }
    NR == FNR { for (i = 1; i <= NF; i++) first[FNR, i] = $i; rows = FNR; next }
    FNR == 1 { for (i = 1; i <= NF; i++) name[i] = $i }
    { for (i = 1; i <= NF; i++) second[FNR, i] = $i; others = FNR; if (NF > columns) columns = NF }
    END {
      if (rows != others) { print "other rows"; exit 1 }
      for (i = 1; i <= columns; i++) {
        largest = 0; worst = 0
        for (r = 2; r <= rows; r++) {
          a = first[r, i]; b = second[r, i]
          if (a == b) continue
          if (!(name[i] in limit)) { print name[i] " in row " r ": " a ", " b; bad = 1; continue }
          d = a - b; if (d < 0) d = -d; if (d > worst) worst = d
        }
        for (r = 2; r <= rows; r++) { a = first[r, i] + 0; if (a < 0) a = -a; if (a > largest) largest = a }
        if (worst > 0) {
          printf "  %s: %.1e\n", name[i], worst / largest
          if (worst > limit[name[i]] * largest) { print name[i] " differs by " worst " of " largest; bad = 1 }
        }
      }
      exit bad
    }' "$2/$1" "$3/$1"
}

"$plain" "${job[@]}" -o plain > /dev/null
for count in 1 2 3 7; do
  ranks "$count" "$program" "${job[@]}" -o "of-$count" > out
  [ "$(grep -c '^vit ' out)" = 1 ] || fail "$count ranks print $(grep -c '^vit ' out) summaries"
  grep -q "\"ranks\": $count" "of-$count/run.json" || fail "run.json of $count ranks"
  echo "$count ranks; largest differences:"
  value=1e-6
  same hessian_eigs.csv plain "of-$count" \
    "eigenvalue=$value eigenvalue_without_l2=$value residual=1e-4"
  same hessian_summary.csv plain "of-$count" "ape=$value ane=$value lambda_max_mean=$value \
    lambda_min_mean=$value trace=$value trace_se=$value"
  same hessian_density.csv plain "of-$count" "x=$value density=1e-5 bandwidth=$value"
done
cmp plain/hessian_eigs.csv of-1/hessian_eigs.csv

# expect CODE TEXT COMMAND...: the code, and the text once.
expect() {
  local code=0 wanted=$1 text=$2
  shift 2
  "$@" > out 2>&1 || code=$?
  [ "$code" = "$wanted" ] || { cat out; fail "code $code, not $wanted: $*"; }
  [ "$(grep -c -- "$text" out)" = 1 ] || { cat out; fail "not once \"$text\": $*"; }
}
expect 66 'no such file' ranks 3 "$program" "${ends[@]}" --data nothing -o o
expect 64 'mpirun serves' ranks 2 "$program" hessian demo:vit -o o
expect 64 'Unknown option' ranks 2 "$program" "${ends[@]}" --nonsense -o o
expect 64 'built without MPI' ranks 2 "$plain" "${ends[@]}" -o o
expect 73 'error: ' ranks 3 "$program" "${ends[@]}" -o file
[ ! -e o ] || fail "a refused run leaves a folder"

# A pixel that is no number, in a minibatch of the second rank alone.
{
  head -c $((10 * 3 * 32 * 32 * 4)) /dev/zero
  printf '\0\0\300\177'
  head -c $((54 * 3 * 32 * 32 * 4 - 4)) /dev/zero
} > pixels
{
  printf '\223NUMPY\1\0\166\0'
  printf '%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (64, 3, 32, 32), }"
  cat pixels
} > bad.npy
seq 64 | awk '{ print $1 % 10 }' > labels.txt
expect 65 'rank 1: .*bad.npy' ranks 3 "$program" "${ends[@]}" --data bad.npy --labels labels.txt -o o

# started N FOLDER: starts a run, waits until two products are kept, and says the launcher's number.
started() {
  mpirun --allow-run-as-root --oversubscribe --bind-to none -n "$1" "$program" "${ends[@]}" -o "$2" > out 2>&1 &
  launcher=$!
  for _ in $(seq 3000); do
    [ "$(stat -c %s "$2/.vitprobe-products" 2> /dev/null || echo 0)" -lt 2500000 ] || return 0
    sleep 0.1
  done
  fail "no products are kept"
}
ended() {  # ended CODE: the launcher ends with it
  local code=0
  for _ in $(seq 1200); do
    kill -0 "$launcher" 2> /dev/null || break
    sleep 0.1
  done
  kill -9 "$launcher" 2> /dev/null && fail "a run that was stopped hangs"
  wait "$launcher" || code=$?
  [ "$code" = "$1" ] || { cat out; fail "code $code, not $1"; }
}
ranks 2 "$program" "${ends[@]}" -o whole > /dev/null 2>&1
going='going on from 0 of 1 models and'

started 2 usr1
kill -USR1 "$launcher"
ended 75
grep -q 'mpirun -n 2 .* --resume' out || fail "no line to go on with"
expect 0 "$going" ranks 2 "$program" "${ends[@]}" -o usr1 --resume

started 2 int
kill -INT "$launcher"
ended 1
expect 0 "$going" ranks 2 "$program" "${ends[@]}" -o int --resume

# A rank that dies takes the others with it.
started 2 died
for status in /proc/[0-9]*/stat; do
  read -r process name _ parent _ 2> /dev/null < "$status" || continue
  if [ "$parent" = "$launcher" ] && [ "$name" = "(vitprobe)" ]; then died=$process; fi
done
kill -9 "$died"
ended 137
expect 0 "$going" ranks 2 "$program" "${ends[@]}" -o died --resume
for one in usr1 int died; do
  for table in whole/*.csv; do cmp "$table" "$one/${table#whole/}"; done
done
echo "mpi: passed"
