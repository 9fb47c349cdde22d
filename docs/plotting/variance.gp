# Feature-map variance over depth; bars: 95 % intervals over images.
load "common.gp"
if (!exists("out")) out = "variance.svg"
table = folder."/variance.csv"
label = "Feature map variance"
from_zero = 1
level(x) = column("value")
spread(x) = column("se")
load "over_depth.gp"
