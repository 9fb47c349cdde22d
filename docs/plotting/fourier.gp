# Relative log-amplitude spectra, a line a layer, coloured by depth; a panel a model.
load "common.gp"
if (!exists("out")) out = "fourier.svg"
table = folder."/fourier.csv"
names = models("fourier.csv")
stats table using "sequence" name "layer" nooutput
set terminal svg size 320 * words(names), 400 background "white"
set output out
set multiplot layout 1, words(names)
set xlabel "Frequency / highest of the map"
set ylabel "Δ Log amplitude"
set xtics ("0" 0, "1/2" 0.5, "1" 1)
set cbrange [0:1]
set cblabel "Normalized depth"
unset key
do for [i=1:words(names)] {
  set title word(names, i)
  if (i < words(names)) { unset colorbox } else { set colorbox }
  plot for [l=0:int(layer_max)] table using \
    (is_model(word(names, i)) && column("sequence") == l ? column("freq_plot") : NaN):\
    "delta_log_amp":"depth" with lines lw 1.6 lc palette
}
unset multiplot
