#!/usr/bin/env bash
# Puts everything of an installation in its place. Usage: stage.sh PROGRAM PREFIX [DESTDIR]
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1
to="${3:-}$2"

install -D -m 755 "$program" "$to/bin/vitprobe"
strip "$to/bin/vitprobe"
install -d "$to/share/vitprobe" "$to/share/doc/vitprobe" "$to/share/man/man1" \
  "$to/share/bash-completion/completions" "$to/share/zsh/site-functions" \
  "$to/share/fish/vendor_completions.d"
cp -r notebooks-data/checkpoints notebooks-data/images "$to/share/vitprobe/"
chmod -R u=rwX,go=rX "$to/share/vitprobe"
install -m 644 LICENSE NOTICE notebooks-data/LICENSE.fashion-mnist "$to/share/doc/vitprobe/"
install -m 644 Packaging/LIBRARIES "$to/share/doc/vitprobe/LIBRARIES"
Packaging/manual.sh "$program" | gzip -9n > "$to/share/man/man1/vitprobe.1.gz"
"$program" --generate-completion-script bash > "$to/share/bash-completion/completions/vitprobe"
"$program" --generate-completion-script zsh > "$to/share/zsh/site-functions/_vitprobe"
"$program" --generate-completion-script fish > "$to/share/fish/vendor_completions.d/vitprobe.fish"
