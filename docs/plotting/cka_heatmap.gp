# CKA of all layers of one model to all layers of another (a before b in the table).
#   gnuplot -e "folder='vitprobe-out'; a='vit'; b='resnet'; out='figure.svg'" cka_heatmap.gp
load "common.gp"
if (!exists("out")) out = "cka_heatmap.svg"
table = folder."/cka.csv"
names = system("awk -F, 'NR > 1 && !seen[$1]++ { print $1 }' '".table."'")
if (!exists("a")) a = word(names, 1)
if (!exists("b")) b = word(names, words(names))
set terminal svg size 520,440 background "white"
set output out
set palette defined (0 "#000004", 1 "#140e36", 2 "#3b0f70", 3 "#641a80", 4 "#8c2981", \
  5 "#b73779", 6 "#de4968", 7 "#f7705c", 8 "#fe9f6d", 9 "#fecf92", 10 "#fcfdbf")
set cbrange [0:1]
set cblabel "CKA"
set size ratio -1
unset grid
set autoscale xfix
set autoscale yfix
set xlabel "Layers of ".b
set ylabel "Layers of ".a
is_pair(x) = (strcol("model_a") eq a && strcol("model_b") eq b)
column_of(x) = is_pair(0) ? column("block_b") + x : NaN
row_of(x) = column("block_a") + x
plot table using (column_of(0)):(row_of(0)):(column_of(-0.5)):(column_of(0.5)):(row_of(-0.5)): \
  (row_of(0.5)):"cka" with boxxyerror fs solid noborder lc palette notitle
