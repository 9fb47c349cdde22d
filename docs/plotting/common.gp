# gnuplot 5.4 or later. Loaded by the others, which are called as
#   gnuplot -e "folder='vitprobe-out'; out='figure.svg'" variance.gp
if (!exists("folder")) folder = "vitprobe-out"
set datafile separator comma
set datafile columnheaders
set datafile missing ""
set encoding utf8
set grid lc rgb "#e6e6e6" lt 1
set border 3
set tics nomirror
# Plasma without its lightest fifth, which does not show on white.
set palette defined (0 "#0d0887", 1 "#41049d", 2 "#6a00a8", 3 "#8f0da4", 4 "#b12a90", \
  5 "#cc4778", 6 "#e16462", 7 "#f2844b", 8 "#fca636")

# Names of the models in a table, in its order.
models(table) = system("awk -F, 'NR > 1 && !seen[$1]++ { print $1 }' '".folder."/".table."'")
# Rows of one model; labels with commas or spaces need another tool.
is_model(name) = (strcol("model") eq name)
colors = "#c8500a #45a08c #1257c8 #55156e #f0b41c #78bcf2"
color(i) = word(colors, 1 + (i - 1) % words(colors))
