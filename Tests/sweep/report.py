"""The tables of a sweep, as Markdown."""
import collections
import trial

HEAD = """# Which names are right

Every name that timm lists for the families vitprobe reads, and for their relatives, was made small with random weights,
written as timm writes it (a folder with `config.json` and weights; and the bare weights), and its logits for two images
compared with timm's. The classes of Hugging Face were made with each configuration key that bears on the output set to
another value than its default, one at a time. *Right* is within 1e-4 of the largest magnitude. *Refused by name* is exit
code 64 or 65 with a message that names the architecture, a key or a tensor. *Assumed, printed*: nothing in the bare file
tells the network from its plain relative; what was assumed is printed and stands in `run.json`. A bare file that does not
tell its number of heads is tried with `heads=`. Where timm fixes width and depth (Mixers), images were made small alone.

Made by `Tests/sweep/sweep.py --write docs/sweep.md` (torch 2.15.0, timm 1.0.31, transformers 5.24.0).

"""


def table(results, unmade):
    lines = [HEAD + "| group | files | names | " + " | ".join(trial.OUTCOMES) + " |",
             "| --- | --- | ---: | " + " | ".join("---:" for _ in trial.OUTCOMES) + " |"]
    total = collections.Counter()
    for group, rows in results.items():
        for form in ("folder", "bare"):
            count = collections.Counter(r.outcome for r in rows if r.form == form)
            total += count
            if count:
                lines.append(f"| {group} | {form} | {sum(count.values())} | "
                             + " | ".join(str(count[o]) for o in trial.OUTCOMES) + " |")
    lines.append(f"| **all** | | {sum(total.values())} | " + " | ".join(f"**{total[o]}**" for o in trial.OUTCOMES) + " |")
    for outcome, title in ((trial.WRONG, "Wrong"), (trial.ASSUMED, "Assumed, printed"),
                           (trial.NAMELESS, "Refused without a name"), (trial.REFUSED, "Refused by name")):
        found = collections.defaultdict(list)
        for group, rows in results.items():
            for r in rows:
                if r.outcome == outcome:
                    found[f"{group}, {r.form}"].append(f"`{r.name}`")
        if found:
            lines += ["", f"## {title}", ""]
            lines += [f"- {where}: " + ", ".join(names) for where, names in found.items()]
    if unmade:
        lines += ["", "## Not made", "", "These names cannot be made small by their arguments: "
                  + ", ".join(f"`{name}`" for _, name, _ in unmade) + "."]
    return "\n".join(lines) + "\n"
