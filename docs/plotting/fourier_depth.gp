# Log amplitude at the highest frequency of each layer; bars: 95 % intervals over images.
load "common.gp"
if (!exists("out")) out = "fourier_depth.svg"
table = folder."/fourier.csv"
label = "Δ Log amplitude"
from_zero = 0
# The highest frequency is plotted at 1.
level(x) = column("freq_plot") == 1 ? column("delta_log_amp") : NaN
spread(x) = column("delta_se")
load "over_depth.gp"
