#!/usr/bin/env bash
# A Debian package. Usage: deb.sh PROGRAM OUT
# What it depends on are the packages that hold the libraries it is linked to, on this machine, and OpenBLAS, which it
# loads when it is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1
out=$2
version=$("$program" --version)
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

Packaging/stage.sh "$program" /usr "$work/root"
rm "$work/root/usr/share/doc/vitprobe/LICENSE"
{
  echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
  echo "Upstream-Name: vitprobe"
  echo
  echo "Files: *"
  echo "Copyright: the vitprobe authors"
  echo "License: Apache-2.0"
  echo " On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0."
  echo " Works of others are named in NOTICE and LIBRARIES beside this file."
} > "$work/root/usr/share/doc/vitprobe/copyright"
# The folders of Debian's zsh.
mkdir -p "$work/root/usr/share/zsh/vendor-completions"
mv "$work/root/usr/share/zsh/site-functions/_vitprobe" "$work/root/usr/share/zsh/vendor-completions/"
rmdir "$work/root/usr/share/zsh/site-functions"

needed=$(objdump -p "$work/root/usr/bin/vitprobe" | awk '/NEEDED/ { print $2 }')
depends="libopenblas0
"
for library in $needed; do
  case $library in ld-linux*) continue ;; esac
  path=$(ldd "$work/root/usr/bin/vitprobe" | awk -v name="$library" '$1 == name { print $3 }')
  # Known by the path through /usr or by the one without, hence a failure for the other.
  package=$({ dpkg-query -S "$(realpath "$path")" "$path" 2> /dev/null || true; } | head -n 1 | cut -d: -f1)
  if [ -z "$package" ]; then
    echo "$library ($path) is of no package: a program with it would not start elsewhere" >&2
    exit 1
  fi
  if [ "$package" = libc6 ]; then
    package="libc6 (>= $(dpkg-query -W -f='${Version}' libc6 | cut -d- -f1))"
  fi
  depends="$depends$package
"
done
depends=$(sort -u <<< "$depends" | sed '/^$/d' | paste -sd, | sed 's/,/, /g')

mkdir "$work/root/DEBIAN"
{
  echo "Package: vitprobe"
  echo "Version: $version"
  echo "Architecture: $architecture"
  echo "Section: science"
  echo "Priority: optional"
  echo "Maintainer: ${DEB_MAINTAINER:-vitprobe <vitprobe@localhost>}"
  echo "Depends: $depends"
  echo "Recommends: librsvg2-2, fonts-liberation"
  echo "Installed-Size: $(du -sk "$work/root/usr" | cut -f1)"
  echo "Description: representation diagnostics of vision models"
  echo " CKA, Fourier spectra, feature-map variance, attention statistics and Hessian"
  echo " spectra of Vision Transformers and ResNets, as tables and figures."
} > "$work/root/DEBIAN/control"
(cd "$work/root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum > DEBIAN/md5sums)
chmod -R u=rwX,go=rX "$work/root"

# The same program and sources give the same bytes.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2> /dev/null || echo 1700000000)
export SOURCE_DATE_EPOCH
find "$work/root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$out"
dpkg-deb --root-owner-group --build "$work/root" "$out/vitprobe_${version}_$architecture.deb" > /dev/null
echo "$out/vitprobe_${version}_$architecture.deb"
