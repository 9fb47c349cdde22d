# Draws the figures of vitprobe from its tables alone.
#   Rscript figures.R [FOLDER] [OUT]
# Tested with R 4.2.2 and ggplot2 3.4.1.
library(ggplot2)

arguments <- commandArgs(trailingOnly = TRUE)
folder <- if (length(arguments) > 0) arguments[1] else "vitprobe-out"
out <- if (length(arguments) > 1) arguments[2] else "figures"
dir.create(out, showWarnings = FALSE, recursive = TRUE)

# Models stay in the order of the table.
read <- function(name) {
  table <- read.csv(file.path(folder, name), encoding = "UTF-8")
  for (column in intersect(c("model", "model_a", "model_b"), names(table)))
    table[[column]] <- factor(table[[column]], levels = unique(table[[column]]))
  table
}
has <- function(name) file.exists(file.path(folder, name))
save <- function(name, plot, width, height = 4)
  ggsave(file.path(out, paste0(name, ".pdf")), plot, width = width, height = height, device = cairo_pdf)
theme_set(theme_bw())
# Plasma without its lightest fifth, which does not show on white.
depth_color <- scale_color_viridis_c("Normalized depth", option = "plasma", end = 0.8, limits = c(0, 1))

# Gray: steps into self-attention; blue: into subsampling.
shades <- function(rows) {
  rows <- rows[rows$sequence > 0 & rows$kind %in% c("msa", "pool"), ]
  rows$from <- rows$depth - rows$depth / rows$sequence
  geom_rect(
    data = rows, inherit.aes = FALSE, alpha = 0.15, fill = ifelse(rows$kind == "msa", "#7f7f7f", "#1257c8"),
    aes(xmin = from, xmax = depth, ymin = -Inf, ymax = Inf))
}
over_depth <- function(rows, value, error, label) {
  rows$value <- rows[[value]]
  rows$half <- 1.96 * rows[[error]]
  ggplot(rows, aes(depth, value)) + shades(rows) + geom_line(color = "grey30") +
    geom_errorbar(aes(ymin = value - half, ymax = value + half), width = 0, na.rm = TRUE) +
    geom_point(aes(color = depth)) + depth_color + facet_wrap(~model, nrow = 1, scales = "free_y") +
    labs(x = "Normalized depth", y = label)
}

if (has("cka_curve.csv")) {
  save("cka_curve", ggplot(read("cka_curve.csv"), aes(depth, s_ratio, color = model, fill = model)) +
    geom_ribbon(aes(ymin = ratio_ci_lo, ymax = ratio_ci_hi), alpha = 0.15, color = NA) +
    geom_line() + geom_point() +
    labs(x = "Normalized depth", y = "CKA to last block / CKA of first to last"), 6.5)
  pairs <- read("cka.csv")
  save("cka_heatmaps", ggplot(pairs, aes(block_b, block_a, fill = cka)) +
    geom_raster() + scale_fill_viridis_c("CKA", option = "magma", limits = c(min(0, pairs$cka, na.rm = TRUE), 1)) +
    facet_grid(model_a ~ model_b) + labs(x = "Block of the column's model", y = "Block of the row's model"), 9, 8)
}
if (has("fourier.csv")) {
  table <- read("fourier.csv")
  width <- 1.5 + 2.5 * nlevels(table$model)
  save("fourier", ggplot(table, aes(freq_plot, delta_log_amp, group = layer_index, color = depth)) +
    geom_line(na.rm = TRUE) + depth_color + facet_wrap(~model, nrow = 1) +
    labs(x = "Frequency / highest of the map", y = "Δ Log amplitude"), width)
  highest <- ave(table$k, paste(table$model, table$layer_index), FUN = max)
  save("fourier_depth", over_depth(table[table$k == highest, ], "delta_log_amp", "delta_se", "Δ Log amplitude"), width)
}
if (has("variance.csv")) {
  table <- read("variance.csv")
  save("variance", over_depth(table, "value", "se", "Feature map variance"), 1.5 + 2.5 * nlevels(table$model))
}
if (has("attention.csv")) {
  table <- subset(read("attention.csv"), !is.na(value))
  save("attention", ggplot(table, aes(depth, value, color = model)) + geom_point() +
    facet_wrap(~statistic, scales = "free_y") + labs(x = "Normalized depth", y = NULL), 9, 7)
}
if (has("hessian_density.csv")) {
  table <- subset(read("hessian_density.csv"), source == "kde")
  save("hessian", ggplot(table, aes(x, density, color = model)) + geom_line() +
    facet_wrap(~side, scales = "free") + labs(x = "Eigenvalue", y = "Density"), 8)
}
