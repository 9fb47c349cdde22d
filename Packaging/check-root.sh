#!/usr/bin/env bash
# Whether the package installs, and the installed program runs, where there is Debian 12 and nothing else: in a root of
# debootstrap's smallest variant, without a toolchain. Usage, as root: check-root.sh PROGRAM [MIRROR]
# PROGRAM is that of `make build`. Needs debootstrap and a mirror of Debian.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "$1")
mirror=${2:-http://deb.debian.org/debian}
work=$(mktemp -d)
root="$work/root"
trap 'umount "$root/proc" 2> /dev/null; rm -rf --one-file-system "$work"' EXIT
fail() { echo "Packaging/check-root.sh: $1" >&2; tail -n 20 "$work/log" >&2; exit 1; }
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"; }

debootstrap --variant=minbase bookworm "$root" "$mirror" > "$work/log" 2>&1 || fail "debootstrap failed"
# A program's arguments and its own place are read there.
mount -t proc proc "$root/proc" || fail "/proc cannot be mounted"
if inside sh -c 'command -v swift cc python3' > "$work/log"; then fail "the root is not bare"; fi
cp "$(Packaging/deb.sh "$program" "$work")" "$root/tmp/vitprobe.deb"
inside apt-get -y --no-install-recommends install /tmp/vitprobe.deb > "$work/log" 2>&1 \
  || fail "the package does not install"

version=$(inside vitprobe --version 2> "$work/log") || fail "the program does not start"
[ "$version" = "$("$program" --version)" ] || fail "the version is $version"
inside vitprobe demo --limit 64 -q -o /tmp/demo > "$work/log" 2>&1 || fail "the demo fails"
inside vitprobe report /tmp/demo -o /tmp/report.html > "$work/log" 2>&1 || fail "the report fails"
grep -q '</html>' "$root/tmp/report.html" || fail "the report is not whole"
if inside vitprobe variance demo:vit --limit 8 --format pdf -o /tmp/pdf > "$work/log" 2>&1; then
  fail "PDF is made without librsvg"
fi
grep -q 'apt-get install' "$work/log" || fail "no word on what PDF needs"
inside apt-get -y remove vitprobe > "$work/log" 2>&1 || fail "the package does not go away"
if inside find /usr/bin/vitprobe /usr/share/vitprobe > /dev/null 2>&1; then fail "the package leaves files"; fi
echo "Packaging: $version installed from the package, demo and report made in a bare bookworm, removed"
