# Densities of the negative and of the positive part of the eigenvalue sample.
load "common.gp"
if (!exists("out")) out = "hessian.svg"
table = folder."/hessian_density.csv"
names = models("hessian_density.csv")
set terminal svg size 720,400 background "white"
set output out
set multiplot layout 1, 2
set ylabel "Density"
set xlabel "Eigenvalue"
set yrange [0:*]
set format y ""
set key top
do for [side in "neg pos"] {
  set title (side eq "neg" ? "Negative" : "Positive")
  plot for [i=1:words(names)] table using \
    (is_model(word(names, i)) && strcol("source") eq "kde" && strcol("side") eq side \
      ? column("x") : NaN):"density" with lines lw 2 lc rgb color(i) title word(names, i)
}
unset multiplot
