#!/usr/bin/env bash
# The manual page of a built vitprobe, from its own help. Usage: manual.sh PROGRAM > vitprobe.1
set -euo pipefail
program=$1
columns() { COLUMNS=200 "$program" help "$@"; }

# Help as roff: headings, then an entry for each line "  TERM   what it is", whose text may go on.
roff() {
  awk '
    function text(line) { gsub(/\\/, "\\e", line); gsub(/-/, "\\-", line); sub(/^[.\x27]/, "\\\\\\&", line); return line }
    /^OVERVIEW: / { sub(/^OVERVIEW: /, ""); print ".PP\n" text($0); next }
    /^USAGE: / { sub(/^USAGE: /, ""); print ".PP\n.nf\n\\fB" text($0) "\\fR\n.fi"; next }
    /^ *See .vitprobe help/ { next }
    /^[A-Z][A-Za-z ]*:$/ { sub(/:$/, ""); print ".PP\n\\fI" text($0) "\\fR"; next }
    /^  \$ / { print ".PP\n.nf\n" text(substr($0, 3)) "\n.fi"; next }
    /^  [^ ]/ {
      line = substr($0, 3)
      if (!match(line, /^((-[^ ]+, )*-+[^ ]+|<[^>]*>|[a-z]+)( <[^>]*>)?( \.\.\.)?/)) { print text(line); next }
      print ".TP\n\\fB" text(substr(line, 1, RLENGTH)) "\\fR"
      rest = substr(line, RLENGTH + 1)
      sub(/^ +/, "", rest)
      if (rest != "") print text(rest)
      next
    }
    /^ +[^ ]/ { sub(/^ +/, ""); print text($0); next }
    /^$/ { next }
    { print text($0) }
  '
}

version=$("$program" --version)
echo ".TH VITPROBE 1 \"\" \"vitprobe $version\" \"User Commands\""
echo '.SH NAME'
echo 'vitprobe \- representation diagnostics of vision models'
echo '.SH DESCRIPTION'
columns | sed '/^SUBCOMMANDS:/,$d' | roff
echo '.SH COMMANDS'
columns | sed -n '/^SUBCOMMANDS:/,$p' | sed 1d | grep -oE '^  [a-z][a-z-]* ' | while read -r name; do
  echo ".SS $name"
  columns "$name" | roff
done
cat <<'PAGE'
.SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
done, with images skipped
.TP
.B 64
usage
.TP
.B 65
bad data
.TP
.B 66
no such input
.TP
.B 70
internal error
.TP
.B 73
the output cannot be created
.TP
.B 74
reading or writing failed
.TP
.B 75
stopped early, with minibatches kept
.TP
.B 130
interrupted
.SH ENVIRONMENT
.TP
.B VITPROBE_DATA
the folder of the bundled checkpoints and images
.TP
.B VITPROBE_KERNELS
the instructions that products run on: avx512f, avx2, sse2; neon
.SH FILES
.TP
.I share/vitprobe
beside the folder of the program: the bundled checkpoints and images
PAGE
