"""Draws the figures of vitprobe from its tables alone.

    python figures.py [FOLDER] [OUT]

Tested with Python 3.11, pandas 3.1 and matplotlib 3.11.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd


def models(table):
    """Each model's rows, in the order of the table."""
    return list(table.groupby("model", sort=False))


def panels(count):
    figure, axes = plt.subplots(1, count, figsize=(3.3 * count, 4), squeeze=False, layout="constrained")
    return figure, axes[0]


def shade(axes, rows):
    """Gray: steps into self-attention; blue: into subsampling."""
    step = 1 / max(1, len(rows) - 1)
    for row in rows[rows.layer_index > 0].itertuples():
        color = {"msa": "tab:gray", "pool": "tab:blue"}.get(row.kind)
        if color:
            axes.axvspan(row.depth - step, row.depth, color=color, alpha=0.15, lw=0)


def cka_curve(folder):
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    for name, rows in models(pd.read_csv(folder / "cka_curve.csv")):
        (line,) = axes.plot(rows.depth, rows.s_ratio, "o-", ms=4, label=name)
        axes.fill_between(rows.depth, rows.ratio_ci_lo, rows.ratio_ci_hi, color=line.get_color(), alpha=0.15, lw=0)
    axes.set(xlabel="Normalized depth", ylabel="CKA to last block / CKA of first to last")
    axes.legend()
    return figure


def cka_heatmaps(folder):
    """One figure a pair of models: names of the two, and the figure."""
    table = pd.read_csv(folder / "cka.csv")
    for (a, b), rows in table.groupby(["model_a", "model_b"], sort=False):
        grid = rows.pivot(index="layer_a_index", columns="layer_b_index", values="cka")
        figure, axes = plt.subplots(figsize=(5, 4.4), layout="constrained")
        image = axes.imshow(grid, origin="lower", cmap="magma", vmin=0, vmax=1)
        axes.set(xlabel=f"Layers of {b}", ylabel=f"Layers of {a}")
        figure.colorbar(image, label="CKA")
        yield a, b, figure


def fourier(folder):
    table = pd.read_csv(folder / "fourier.csv")
    groups = models(table)
    figure, axes = panels(len(groups))
    colors = plt.get_cmap("plasma")
    for ax, (name, rows) in zip(axes, groups):
        for _, layer in rows.groupby("layer_index"):
            ax.plot(layer.freq_plot, layer.delta_log_amp, color=colors(layer.depth.iloc[0]))
        ax.set(title=name, xlabel="Frequency (π)", ylabel="Δ Log amplitude")
    figure.colorbar(plt.cm.ScalarMappable(cmap=colors), ax=list(axes), label="Normalized depth")
    return figure


def over_depth(rows_of, label, error):
    figure, axes = panels(len(rows_of))
    for ax, (name, rows) in zip(axes, rows_of):
        shade(ax, rows)
        ax.errorbar(rows.depth, rows[label], 1.96 * rows[error], color="0.3", lw=2, elinewidth=1)
        ax.scatter(rows.depth, rows[label], c=rows.depth, cmap="plasma", vmin=0, vmax=1, zorder=3)
        ax.set(title=name, xlabel="Normalized depth")
    return figure, axes


def fourier_depth(folder):
    table = pd.read_csv(folder / "fourier.csv")
    last = table.loc[table.groupby(["model", "layer_index"], sort=False).k.idxmax()]
    figure, axes = over_depth(models(last), "delta_log_amp", "delta_se")
    axes[0].set_ylabel("Δ Log amplitude")
    return figure


def variance(folder):
    figure, axes = over_depth(models(pd.read_csv(folder / "variance.csv")), "value", "se")
    axes[0].set_ylabel("Feature map variance")
    for ax in axes:
        ax.set_ylim(bottom=0)
    return figure


def hessian(folder):
    table = pd.read_csv(folder / "hessian_density.csv")
    figure, axes = panels(2)
    for ax, side in zip(axes, ["neg", "pos"]):
        for name, rows in models(table[(table.source == "kde") & (table.side == side)]):
            ax.plot(rows.x, rows.density, label=name)
        ax.set(xlabel="Eigenvalue", ylabel="Density", yticks=[])
        ax.legend()
    return figure


def main(folder, out):
    out.mkdir(parents=True, exist_ok=True)
    drawn = []
    if (folder / "cka.csv").exists():
        drawn += [("cka_curve", cka_curve(folder))]
        drawn += [(f"cka_{a}_{b}", figure) for a, b, figure in cka_heatmaps(folder)]
    if (folder / "fourier.csv").exists():
        drawn += [("fourier", fourier(folder)), ("fourier_depth", fourier_depth(folder))]
    if (folder / "variance.csv").exists():
        drawn += [("variance", variance(folder))]
    if (folder / "hessian_density.csv").exists():
        drawn += [("hessian", hessian(folder))]
    for name, figure in drawn:
        figure.savefig(out / f"{name}.svg")
    print(f"{len(drawn)} figures in {out}")


if __name__ == "__main__":
    arguments = [Path(text) for text in sys.argv[1:]]
    main(*(arguments + [Path("vitprobe-out"), Path("figures")][len(arguments) :]))
