"""Draws the figures of vitprobe from its tables: the same names, panels, colours and scales.

    python figures.py [FOLDER] [OUT]

What tables do not say is left out: words on values beyond a scale. Where stages begin is read from run.json. Tested
with Python 3.11, pandas 3.1 and matplotlib 3.11.
"""

import json
import re
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap

COLORS = ["#1257c8", "#c8500a", "#45a08c", "#55156e", "#f0b41c", "#78bcf2", "#262626"]
MARKERS = "oDs^vXP"
DASHES = ["-", "--", ":", "-."]
# Plasma without its lightest fifth, which does not show on white.
EMBER = ListedColormap(plt.get_cmap("plasma")(np.linspace(0, 0.8, 256)), "ember")


def styles(folder, labels):
    """Colour, marker and dash of each model: by its family if run.json tells it, then by its place."""
    families = {}
    if (folder / "run.json").exists():
        configuration = json.loads((folder / "run.json").read_text())["configuration"]
        for subject in configuration.get("subjects", []):
            families[subject["label"]] = str(subject.get("architecture") or "")
    house = {
        "resnet": (COLORS[0], "D", "-"), "vit": (COLORS[1], "o", "-"), "": (COLORS[2], "s", "--"),
    }  # fmt: skip
    result, place = {}, 0
    for label in labels:
        family = next((f for f in ("resnet", "vit") if families.get(label, "").startswith(f)), "")
        if family in house:
            result[label] = house.pop(family)
            continue
        while place % 7 < 3:
            place += 1
        result[label] = (COLORS[place % 7], MARKERS[(place + place // 7) % 7], DASHES[place % 4])
        place += 1
    return result


def models(table):
    """Each model's rows, in the order of the table."""
    return list(table.groupby("model", sort=False))


def slug(label):
    text = re.sub(r"[^A-Za-z0-9._-]", "-", label)
    return text if text.strip(".") else "model"


def panels(count, sharey=True):
    figure, axes = plt.subplots(
        1, count, figsize=(3.3 * count + 1, 4), squeeze=False, sharey=sharey, layout="constrained")
    return figure, list(axes[0])


def shades(rows):
    """Steps: gray into self-attention, blue into subsampling."""
    strips, before = [], None
    for row in rows.itertuples():
        color = {"msa": "#7f7f7f", "pool": COLORS[0]}.get(row.kind)
        if before is not None and color:
            strips.append((before, row.depth, color))
        before = row.depth
    return strips


def shade(axes, rows):
    strips = shades(rows)
    # Many would be a comb: a rule along the upper edge says the same.
    low, alpha = (0.98, 0.6) if len(strips) > 16 else (0, 0.15)
    for left, right, color in strips:
        axes.axvspan(left, right, ymin=low, color=color, alpha=alpha, lw=0)


def stages(folder, table="variance"):
    """Of each model, the depths of those layers of a table at which a stage begins, but for the first."""
    path = folder / "run.json"
    networks = json.loads(path.read_text()).get("networks", []) if path.exists() else []
    known = {
        (network["label"], layer["name"]): layer["stage"]
        for network in networks for layer in network["layers"] if "stage" in layer
    }  # fmt: skip
    rows = pd.read_csv(folder / f"{table}.csv", usecols=["model", "layer_name", "depth"])
    found = {}
    for name, own in models(rows.drop_duplicates(["model", "layer_name"])):
        rows = [row for row in own.itertuples() if (name, row.layer_name) in known]
        staged = [(known[name, row.layer_name], row.depth) for row in rows]
        found[name] = [after[1] for before, after in zip(staged, staged[1:]) if before[0] != after[0]]
    return {name: depths for name, depths in found.items() if depths}


def mark_stages(axes, found, names, style):
    """Dotted lines where stages begin, in the colours of the models where they differ."""
    own = {name: tuple(found[name]) for name in names if name in found}
    for name, depths in list(own.items())[: 1 if len(set(own.values())) == 1 else None]:
        color = "0.4" if len(set(own.values())) == 1 else style[name][0]
        for depth in depths:
            axes.axvline(depth, color=color, ls=":", lw=1, zorder=0)


def line(axes, x, y, style, error=None, **more):
    color, marker, dash = style
    axes.errorbar(
        x, y, error, color=color, marker=marker, ls=dash, ms=5, elinewidth=1, capsize=2, **more)


def cka_curve(folder, style):
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    for name, rows in models(pd.read_csv(folder / "cka_curve.csv")):
        line(axes, rows.depth, rows.s_ratio, style[name], label=name)
        axes.fill_between(
            rows.depth, rows.ratio_ci_lo, rows.ratio_ci_hi, color=style[name][0], alpha=0.18, lw=0)
    mark_stages(axes, stages(folder, "cka_curve"), style, style)
    axes.set(xlabel="Normalized depth", ylabel="CKA to last block / CKA of first to last", xlim=(0, 1))
    axes.legend()
    yield "cka_curve", figure


def cka(folder, style):
    """One figure a pair of models."""
    for (a, b), rows in pd.read_csv(folder / "cka.csv").groupby(["model_a", "model_b"], sort=False):
        grid = rows.pivot(index="layer_a_index", columns="layer_b_index", values="cka")
        figure, axes = plt.subplots(figsize=(5, 4.4), layout="constrained")
        image = axes.imshow(grid, origin="lower", cmap="magma", vmin=0, vmax=1)
        axes.set(xlabel=f"Layers of {b}", ylabel=f"Layers of {a}")
        figure.colorbar(image, label="CKA")
        yield f"cka_{slug(a)}_{slug(b)}", figure


def depth_bar(figure, axes):
    figure.colorbar(plt.cm.ScalarMappable(cmap=EMBER), ax=axes, label="Normalized depth")


def fourier(folder, style):
    table = pd.read_csv(folder / "fourier.csv")
    for name, rows in models(table):
        layers = [layer for _, layer in rows.groupby("layer_index") if layer.delta_log_amp.notna().any()]
        if not layers:
            continue
        figure, axes = plt.subplots(figsize=(5.6, 4), layout="constrained")
        # From deep to shallow, so that the first lies on top; bands on the first and the last.
        for layer in reversed(layers):
            color = EMBER(layer.depth.iloc[0])
            axes.plot(layer.freq_plot, layer.delta_log_amp, color=color)
            if layer is layers[0] or layer is layers[-1]:
                half = 1.96 * layer.delta_se
                axes.fill_between(
                    layer.freq_plot, layer.delta_log_amp - half, layer.delta_log_amp + half, color=color, alpha=0.18,
                    lw=0)
        # All maps end at the same place: the ticks say what that is, if it is one frequency.
        ends = {layer.freq_true.max() for layer in layers}
        end = ends.pop() if len(ends) == 1 else None
        words = ["0", f"{end / 2:.3g}π", f"{end:.3g}π"] if end else ["0", "1/2", "1"]
        axes.set_xticks([0, 0.5, 1], words)
        axes.set(
            xlabel="Frequency" if end else "Frequency / highest of the map", ylabel="Δ Log amplitude", xlim=(0, 1))
        depth_bar(figure, axes)
        yield f"fourier_{slug(name)}", figure
    last = table.loc[table.groupby(["model", "layer_index"], sort=False).k.idxmax()]
    groups = models(last)
    figure, axes = panels(len(groups))
    for ax, (name, rows) in zip(axes, groups):
        shade(ax, rows)
        mark_stages(ax, stages(folder, "fourier"), [name], style)
        ax.errorbar(rows.depth, rows.delta_log_amp, 1.96 * rows.delta_se, color="0.3", elinewidth=1)
        ax.scatter(rows.depth, rows.delta_log_amp, c=rows.depth, cmap=EMBER, vmin=0, vmax=1, zorder=3)
        ax.set(title=name, xlabel="Normalized depth", xlim=(0, 1))
    axes[0].set_ylabel("Δ Log amplitude")
    depth_bar(figure, axes)
    yield "fourier_depth", figure


def variance(folder, style):
    groups = models(pd.read_csv(folder / "variance.csv"))
    steps = [shades(rows) for _, rows in groups]
    # Models with the same steps share a panel.
    parts = [groups] if all(step == steps[0] for step in steps) else [[group] for group in groups]
    figure, axes = panels(len(parts), sharey=False)
    for ax, part in zip(axes, parts):
        shade(ax, part[0][1])
        mark_stages(ax, stages(folder), [name for name, _ in part], style)
        for name, rows in part:
            line(ax, rows.depth, rows.value, style[name], 1.96 * rows.se, label=name)
        ax.set(xlabel="Normalized depth", ylabel="Feature map variance", xlim=(0, 1))
        ax.set_ylim(bottom=0)
        ax.set_title(part[0][0] if len(parts) > 1 else "")
    axes[0].legend()
    yield "variance", figure


def attention(folder, style):
    """One figure a statistic: a line through the means of layers, small points for heads."""
    table = pd.read_csv(folder / "attention.csv").dropna(subset="value")
    for statistic, rows in table.groupby("statistic", sort=False):
        if statistic == "uniform_entropy":
            continue
        groups = models(rows)
        has_heads = statistic not in ("token_similarity", "head_similarity", "similar_heads")
        parts = [[group] for group in groups] if has_heads else [groups]
        figure, axes = panels(len(parts))
        for ax, part in zip(axes, parts):
            mark_stages(ax, stages(folder, "attention"), [name for name, _ in part], style)
            for name, own in part:
                color, marker, dash = style[name]
                kinds = own.layer_name.str.split(".").str[-1]
                if statistic == "token_similarity":
                    kinds = kinds * 0
                # What the last block attends by is drawn full, other maps of the model as outlines.
                order = list(dict.fromkeys(reversed(list(kinds))))[::-1]
                for place, kind in enumerate(order):
                    maps = own[kinds == kind]
                    is_main = place == len(order) - 1
                    fill = color if is_main else "white"
                    others = [one for one in DASHES if one != dash]
                    heads = maps[maps["head_index"].notna()]
                    ax.plot(heads.depth, heads.value, marker, ms=3, color=color, mfc=fill, alpha=0.45)
                    means = maps[maps["head_index"].isna()]
                    drawn = (color, marker, dash if is_main else others[place % 3])
                    several = len(order) > 1
                    label = f"{name}, {kind}" if several else name
                    line(ax, means.depth, means.value, drawn, 1.96 * means.se, label=label, mfc=fill)
                if statistic == "entropy":
                    even = table[(table.model == name) & (table.statistic == "uniform_entropy")]
                    ax.plot(even.depth, even.value, ":", color="0.5", label="Even attention")
            ax.set(xlabel="Normalized depth", xlim=(0, 1))
            ax.set_title(part[0][0] if len(parts) > 1 else "")
            ax.legend(fontsize="small")
        axes[0].set_ylabel(statistic.replace("_", " "))
        yield f"attention_{statistic}", figure


def hessian(folder, style):
    table = pd.read_csv(folder / "hessian_density.csv")
    values = pd.read_csv(folder / "hessian_eigs.csv").query("which == 'mag'")
    signs = {"neg": values[values.eigenvalue < 0], "pos": values[values.eigenvalue > 0]}

    def is_apart(rows):
        medians = rows.eigenvalue.abs().groupby(rows.model).apply(lambda v: sorted(v)[len(v) // 2])
        return len(medians) > 0 and medians.max() > 10 * medians.min()

    # Where models lie far apart the axis is in decades.
    decades = any(is_apart(rows) for rows in signs.values())
    sides = [side for side in ("neg", "pos") if len(signs[side])]
    if not sides:
        return
    figure, axes = panels(len(sides))
    for ax, side in zip(axes, sides):
        for name in values.model.unique():
            color, _, dash = style[name]
            own = signs[side][signs[side].model == name]
            kind = "kde_decade" if decades else "kde"
            rows = table[(table.model == name) & (table.source == kind) & (table.side == side)].sort_values("x")
            if len(rows):
                ax.fill_between(rows.x, rows.density, color=color, alpha=0.35, lw=0)
                ax.plot(rows.x, rows.density, dash, color=color, label=name)
            elif len(own) and decades:
                # One value, or equal ones: a bar a tenth of a decade wide.
                x = own.eigenvalue.iloc[0]
                height = len(own) / len(values[values.model == name]) / 0.1
                ends = sorted([x * 10**-0.05, x * 10**0.05])
                ax.bar(ends[0], height, ends[1] - ends[0], align="edge", color=color, alpha=0.35, label=name)
                ax.annotate("one value" if len(own) == 1 else f"{len(own)} values", (ends[1], height))
            open_ = own[own.status.str.contains("not_converged")]
            if len(open_):
                ax.plot(
                    open_.eigenvalue, 0 * open_.eigenvalue, "o", color=color, mfc="white",
                    label=f"{name}, not converged")
        if decades:
            ax.set_xscale("symlog" if side == "neg" else "log", **({"linthresh": 1e-3} if side == "neg" else {}))
            found = signs[side].eigenvalue.abs()
            low, high = found.min() / 10, found.max() * 10
            ax.set_xlim((-high, -low) if side == "neg" else (low, high))
        ax.set(title={"neg": "Negative", "pos": "Positive"}[side], xlabel="Eigenvalue")
        if ax.get_legend_handles_labels()[0]:
            ax.legend()
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("Density per decade" if decades else "Density")
    yield "hessian", figure
    whole = models(table[table.source == "slq"])
    if not whole:
        return
    figure, axes = panels(len(whole))
    for ax, (name, rows) in zip(axes, whole):
        # Each density ascends; the next one begins where x falls back.
        for _, density in rows.groupby((rows.x.diff() <= 0).cumsum()):
            ax.plot(density.x, density.density.clip(lower=1e-300), color=style[name][0], ls=style[name][2])
        ax.set(xlabel="Eigenvalue", yscale="log", title=name if len(whole) > 1 else "")
    top = max(rows.density.max() for _, rows in whole)
    axes[0].set(ylim=(1e-6 * top, 2 * top), ylabel="Density")
    yield "hessian_spectrum", figure


def grid_of(rows, value="nll"):
    """Places along both axes and the values there."""
    grid = rows.pivot(index="y", columns="x", values=value)
    return grid.columns.to_numpy(), grid.index.to_numpy(), grid.to_numpy()


def contours(groups, name, axis_names=("Step along direction 1", "Step along direction 2"), way=None):
    """Lines of one loss, a panel a model, on one scale."""
    known = pd.concat([rows.nll for _, rows in groups]).pipe(lambda nll: nll[nll > 0])
    low, high = np.log10(known.min()), np.log10(known.max())
    figure, axes = panels(len(groups))
    for ax, (label, rows) in zip(axes, groups):
        x, y, nll = grid_of(rows)
        ax.contour(x, y, np.log10(nll), np.linspace(low, high, 16)[1:-1], cmap=EMBER, vmin=low, vmax=high)
        if way is not None:
            ax.plot(way.x, way.y, "-o", color=COLORS[-1], ms=3, lw=1)
        ax.plot(0, 0, "+", color=COLORS[-1], ms=9)
        ax.set(xlabel=axis_names[0], title=label if len(groups) > 1 else "")
    axes[0].set_ylabel(axis_names[1])
    scale = plt.cm.ScalarMappable(plt.Normalize(low, high), EMBER)
    figure.colorbar(scale, ax=axes, label="log10 of the negative log-likelihood (nats)")
    return name, figure


def surface(groups):
    """The loss as a mesh; what lies above twice the lowest of the models' rims is cut off."""
    low = min(rows.nll.min() for _, rows in groups)
    top = min(max(rows.nll.max() for _, rows in groups), 2 * min(rows.nll.max() for _, rows in groups))
    figure = plt.figure(figsize=(4 * len(groups) + 1, 4), layout="constrained")
    axes = [figure.add_subplot(1, len(groups), place + 1, projection="3d") for place in range(len(groups))]
    scale = plt.cm.ScalarMappable(plt.Normalize(min(0, low), top), EMBER)
    for ax, (label, rows) in zip(axes, groups):
        x, y, nll = grid_of(rows)
        nll = np.where(nll <= top, nll, np.nan)
        mesh = ax.plot_surface(*np.meshgrid(x, y), nll, rcount=25, ccount=25, facecolors=scale.to_rgba(nll))
        mesh.set_facecolor((0, 0, 0, 0))
        ax.set(xlabel="Direction 1", ylabel="Direction 2", zlim=(0, top), title=label if len(groups) > 1 else "")
    figure.colorbar(scale, ax=axes, label="Negative log-likelihood (nats)")
    return "landscape_surface", figure


def landscape(folder, style):
    table = pd.read_csv(folder / "landscape.csv")
    groups = models(table)
    is_plane = table.y.nunique() > 1
    if is_plane:
        yield contours(groups, "landscape")
        yield surface(groups)
    figure, axes = plt.subplots(
        1 + is_plane, 2, figsize=(8, 3.4 * (1 + is_plane)), squeeze=False, layout="constrained")
    for row, (along, across) in zip(axes, [("x", "y"), ("y", "x")]):
        for name, rows in groups:
            cut = rows[rows[across] == 0].sort_values(along)
            color, marker, dash = style[name]
            row[0].plot(cut[along], cut.nll, color=color, marker=marker, ls=dash, label=name)
            row[0].fill_between(
                cut[along], cut.nll - 1.96 * cut.se, cut.nll + 1.96 * cut.se, color=color, alpha=0.18, lw=0)
            row[1].plot(cut[along], 100 * cut.acc, color=color, marker=marker, ls=dash, label=name)
        for ax, title in zip(row, ("Negative log-likelihood (nats)", "Accuracy (%)")):
            ax.set(xlabel=f"Step along direction {1 if along == 'x' else 2}", ylabel=title)
            ax.set_ylim(bottom=0)
        row[1].set_ylim(0, 100)
    axes[0][0].legend()
    yield "landscape_axes" if is_plane else "landscape", figure


def trajectory(folder, style):
    way = pd.read_csv(folder / "trajectory.csv")
    shares = pd.read_csv(folder / "trajectory_axes.csv").explained_variance
    groups = models(pd.read_csv(folder / "trajectory_surface.csv"))
    names = [
        f"{name} principal direction: {100 * share:.3g} % of variance"
        for name, share in zip(("First", "Second"), shares)
    ]
    if len(shares) > 1:
        yield contours(groups, "trajectory", names, way)
        return
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    for name, rows in groups:
        axes.plot(rows.x, rows.nll, color=style[name][0], marker=style[name][1], ls=style[name][2], label=name)
    for x in way.x:
        axes.axvline(x, color="0.4", ls=":", lw=1, zorder=0)
    axes.set(xlabel=names[0], ylabel="Negative log-likelihood (nats)")
    axes.set_ylim(bottom=0)
    yield "trajectory", figure


def interval(rows):
    """Both arms of each error bar."""
    return [rows.delta_acc_pp - rows.ci_lo, rows.ci_hi - rows.delta_acc_pp]


def robustness(folder, style):
    table = pd.read_csv(folder / "robustness.csv")
    rings = table[table.test == "frequency_noise"]
    if len(rings):
        figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
        for name, rows in models(rings):
            line(axes, rows.f_over_pi, rows.delta_acc_pp, style[name], interval(rows), label=name)
        axes.set(xlabel="Noise frequency (π)", ylabel="Δ accuracy (pp)")
        axes.legend()
        yield "robustness_frequency", figure
    corrupted = table[table.severity.notna()]
    if len(corrupted):
        kinds = list(dict.fromkeys(corrupted.test))
        figure, axes = plt.subplots(
            -(-len(kinds) // 3), min(3, len(kinds)), figsize=(9, 2.6 * -(-len(kinds) // 3)), squeeze=False,
            sharey=True, layout="constrained")
        for ax in axes.flat[len(kinds):]:
            ax.remove()
        for ax, kind in zip(axes.flat, kinds):
            for name, rows in models(corrupted[corrupted.test == kind]):
                line(ax, rows.severity, rows.delta_acc_pp, style[name], interval(rows), label=name)
            ax.set(title=kind.replace("_", " "), xlabel="Severity", xlim=(0.7, 5.3))
        axes.flat[0].legend(fontsize="small")
        yield "robustness_corruptions", figure
    plane = models(table[table.test == "fourier_basis"])
    if plane:
        figure, axes = panels(len(plane))
        for ax, (name, rows) in zip(axes, plane):
            both = pd.concat([rows, rows.assign(ky=-rows.ky, kx=-rows.kx)]).drop_duplicates(["ky", "kx"])
            grid = 1 - both.pivot(index="ky", columns="kx", values="acc_noisy")
            most = grid.index.max()
            image = ax.imshow(
                grid, origin="lower", cmap="viridis", vmin=0, vmax=1, extent=[-most - 0.5, most + 0.5] * 2)
            ax.set(title=name if len(plane) > 1 else "", xlabel="Waves from left to right")
        axes[0].set_ylabel("Waves from top to bottom")
        figure.colorbar(image, ax=axes, label="Error rate")
        yield "robustness_fourier", figure


def gradient(folder, style):
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    for name, rows in models(pd.read_csv(folder / "robustness_gradient.csv")):
        color, marker, dash = style[name]
        white = rows.share_over_white / rows.share
        axes.plot(rows.f_over_pi, rows.share_over_white, color=color, marker=marker, ls=dash, label=name)
        axes.fill_between(
            rows.f_over_pi, (rows.share_lo * white).clip(lower=1e-9), rows.share_hi * white, color=color, alpha=0.18,
            lw=0)
    axes.axhline(1, color="0.4", ls="--", lw=1)
    axes.set(xlabel="Frequency (π)", ylabel="Power over that of white noise", xlim=(0, 1), yscale="log")
    axes.legend()
    yield "robustness_gradient", figure


def lesion(folder, style):
    """Bars over branches in the order of the pass, a row a model: accuracy left, likelihood right."""
    table = pd.read_csv(folder / "lesion.csv").dropna(subset="layer_index")
    groups = models(table)
    figure, axes = plt.subplots(
        len(groups), 2, figsize=(9, 3 * len(groups)), squeeze=False, layout="constrained")
    for row, (name, rows) in zip(axes, groups):
        places = {layer: place for place, layer in enumerate(dict.fromkeys(rows.layer_name))}
        rows = rows.assign(place=rows.layer_name.map(places))
        branches, heads = rows[rows["head_index"].isna()], rows[rows["head_index"].notna()]
        for ax, value, low, high, title in zip(
            row, ("delta_acc_pp", "delta_nll"), ("ci_lo", "nll_ci_lo"), ("ci_hi", "nll_ci_hi"),
            ("Δ accuracy (pp)", "Δ NLL (nats)")):
            for branch in branches[branches.kind == "msa"].itertuples():
                ax.axvspan(branch.place - 0.5, branch.place + 0.5, color="#7f7f7f", alpha=0.15, lw=0)
            for before, after in zip(branches.itertuples(), list(branches.itertuples())[1:]):
                if before.stage != after.stage and not (pd.isna(before.stage) and pd.isna(after.stage)):
                    ax.axvline((before.place + after.place) / 2, color="0.4", ls=":", lw=1)
            arms = [branches[value] - branches[low], branches[high] - branches[value]]
            ax.bar(branches.place, branches[value], 0.8, color=style[name][0], alpha=0.5)
            ax.errorbar(branches.place, branches[value], arms, color=style[name][0], marker=style[name][1], ls="", ms=3)
            for place, own in heads.groupby("place"):
                x = place - 0.4 + 0.8 * (np.arange(len(own)) + 0.5) / len(own)
                ax.plot(x, own[value], style[name][1], color=style[name][0], ms=3, alpha=0.6)
            ax.set(
                title=f"{name}: {'accuracy' if value == 'delta_acc_pp' else 'negative log-likelihood'}",
                xlabel="Residual branch", ylabel=title)
    yield "lesion", figure


def main(folder, out):
    out.mkdir(parents=True, exist_ok=True)
    names = {
        "cka": cka, "cka_curve": cka_curve, "fourier": fourier, "variance": variance, "attention": attention,
        "hessian_density": hessian, "landscape": landscape, "trajectory_surface": trajectory, "robustness": robustness,
        "robustness_gradient": gradient, "lesion": lesion,
    }  # fmt: skip
    count = 0
    for table, draw in names.items():
        path = folder / f"{table}.csv"
        if not path.exists():
            continue
        columns = pd.read_csv(path, usecols=lambda name: name in ("model", "model_a"))
        for name, figure in draw(folder, styles(folder, columns.iloc[:, 0].unique())):
            figure.savefig(out / f"{name}.svg")
            plt.close(figure)
            count += 1
    print(f"{count} figures in {out}")


if __name__ == "__main__":
    arguments = [Path(text) for text in sys.argv[1:]]
    main(*(arguments + [Path("vitprobe-out"), Path("figures")][len(arguments) :]))
