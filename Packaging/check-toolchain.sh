#!/usr/bin/env bash
# Whether swift is there, starts, and is new enough; names the packages of its own that are missing.
set -euo pipefail
wanted=6.2
# What the toolchain for Debian 12 links and calls (swift.org/install/linux).
packages="binutils git libc6-dev libcurl4 libedit2 libgcc-12-dev libncurses6 libsqlite3-0 libstdc++-12-dev libxml2 libz3-4 tzdata"

missing() {
  for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2> /dev/null | grep -q 'install ok installed' || echo -n " $package"
  done
}

if ! command -v swift > /dev/null; then
  echo "No Swift toolchain on the path: see https://www.swift.org/install/linux ($wanted or later)." >&2
  names=$(missing)
  if [ -n "$names" ]; then echo "It will need: apt-get install$names" >&2; fi
  exit 1
fi
if ! said=$(swift --version 2>&1); then
  echo "swift does not start:" >&2
  sed 's/^/  /' <<< "$said" >&2
  names=$(missing)
  if [ -n "$names" ]; then
    echo "Packages of the toolchain are missing; install them with:" >&2
    echo "  apt-get install$names" >&2
  fi
  exit 1
fi
found=$(sed -nE 's/.*Swift version ([0-9]+(\.[0-9]+)*).*/\1/p' <<< "$said" | head -n 1)
if [ -z "$found" ] || [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
  echo "Swift ${found:-of an unknown version} at $(command -v swift) is too old: $wanted or later is needed." >&2
  exit 1
fi
