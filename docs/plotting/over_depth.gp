# One value a layer over depth, a panel a model; steps into self-attention are gray, subsampling
# blue. Loaded by fourier_depth.gp and variance.gp, which set table, level, spread, label, from_zero.
names = system("awk -F, 'NR > 1 && !seen[$1]++ { print $1 }' '".table."'")
set terminal svg size 320 * words(names), 400 background "white"
set output out
set multiplot layout 1, words(names)
# So that a line goes on over rows of no interest.
set datafile missing NaN
set xlabel "Normalized depth"
set ylabel label
set cbrange [0:1]
unset colorbox
unset key
do for [i=1:words(names)] {
  set title word(names, i)
  here(x) = is_model(word(names, i)) ? x : NaN
  set autoscale
  stats table using (here(column("sequence"))) name "layer" nooutput
  stats table using (here(level(0))) name "y" nooutput
  pad = 0.05 * (y_max - y_min) + 1e-9
  low = y_min - pad
  high = y_max + pad
  if (from_zero) { low = 0 }
  set yrange [low:high]
  set xrange [0:1]
  step = layer_max > 0 ? 1.0 / layer_max : 0
  # Colours with transparency, 0xAARRGGBB; steps of other kinds are not seen.
  shade(kind) = kind eq "msa" ? 0xcc7f7f7f : kind eq "pool" ? 0xcc1257c8 : 0xffffffff
  end(x) = here(level(0)) == level(0) && column("sequence") > 0 ? column("depth") : NaN
  plot table using (end(0)):(low):(end(0) - step):(end(0)):(low):(high):(shade(strcol("kind"))) \
      with boxxyerror fs solid noborder lc rgb variable, \
    table using (here(column("depth"))):(level(0)):(1.96 * spread(0)) with yerrorbars lt 1 pt 0 \
      lc rgb "#4d4d4d", \
    table using (here(column("depth"))):(level(0)) with lines lw 2 lc rgb "#4d4d4d", \
    table using (here(level(0)) == level(0) ? column("depth") : NaN):(level(0)):"depth" \
      with points pt 7 ps 0.7 lc palette
}
unset multiplot
