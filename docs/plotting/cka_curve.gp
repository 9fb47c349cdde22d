# CKA of each block to the last, divided by that of the first block; bands: 95 % intervals.
load "common.gp"
if (!exists("out")) out = "cka_curve.svg"
table = folder."/cka_curve.csv"
names = models("cka_curve.csv")
set terminal svg size 640,400 background "white"
set output out
set xlabel "Normalized depth"
set ylabel "CKA to last block / CKA of first to last"
set xrange [0:1]
set key top left
set style fill transparent solid 0.15 noborder
plot for [i=1:words(names)] table \
    using (is_model(word(names, i)) ? column("depth") : NaN):"ratio_ci_lo":"ratio_ci_hi" \
    with filledcurves lc rgb color(i) notitle, \
  for [i=1:words(names)] table \
    using (is_model(word(names, i)) ? column("depth") : NaN):"s_ratio" \
    with linespoints lw 2 pt 7 ps 0.6 lc rgb color(i) title word(names, i)
