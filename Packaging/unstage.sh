#!/usr/bin/env bash
# Removes what stage.sh put there, and nothing else. Usage: unstage.sh PREFIX [DESTDIR]
set -euo pipefail
to="${2:-}$1"
rm -f "$to/bin/vitprobe" "$to/share/man/man1/vitprobe.1.gz" \
  "$to/share/bash-completion/completions/vitprobe" "$to/share/zsh/site-functions/_vitprobe" \
  "$to/share/fish/vendor_completions.d/vitprobe.fish"
rm -rf "$to/share/vitprobe" "$to/share/doc/vitprobe"
# Folders that are empty now, but for the prefix itself.
for folder in share/fish/vendor_completions.d share/fish share/zsh/site-functions share/zsh \
  share/bash-completion/completions share/bash-completion share/man/man1 share/man share/doc share bin; do
  rmdir "$to/$folder" 2> /dev/null || true
done
