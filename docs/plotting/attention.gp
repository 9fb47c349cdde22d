# One statistic of attention over depth, a point a head (or a layer).
#   gnuplot -e "folder='vitprobe-out'; statistic='distance'; out='figure.svg'" attention.gp
load "common.gp"
if (!exists("out")) out = "attention.svg"
if (!exists("statistic")) statistic = "entropy"
table = folder."/attention.csv"
names = system("awk -F, 'NR > 1 && $10 == \"".statistic."\" && $12 != \"\" && !seen[$1]++ { print $1 }' '".table."'")
set terminal svg size 640,400 background "white"
set output out
set xlabel "Normalized depth"
set ylabel statistic noenhanced
set xrange [-0.02:1.02]
set key outside right
plot for [i=1:words(names)] table using \
  (is_model(word(names, i)) && strcol("statistic") eq statistic ? column("depth") : NaN):"value" \
  with points pt 7 ps 0.7 lc rgb color(i) title word(names, i)
