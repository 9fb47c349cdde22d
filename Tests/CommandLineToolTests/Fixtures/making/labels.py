"""Labels: shapes, counts, ranges, unlabelled images, and folders of classes."""
import json
import numpy as np, safetensors.torch, torch
from PIL import Image
from case import Case
from networks import normal, output, vit

SUBJECT = "m=vit(heads=2)@../../vit.safetensors"


def answers(network, x):
    return output(network, x).argmax(1)


def arrays(name, thread, labels, count=6, says=None, code=65, cells=None, notes=(), command="run", more=(), x=None, labels_file=None):
    network = vit()
    x = normal(count, 3, 8, 8) if x is None else x
    options = {"run": ["--analyses", "variance"], "hessian": ["--batch-size", str(count), "--batches", "1", "--top", "1"]}[command]
    given = ["--labels", labels_file] if labels_file else []
    with Case("labels", name, thread, [command, SUBJECT, "--data", "data.npz" if not labels_file else "x.npy", *options, *given, *more],
              says=says, code=code, notes=notes, cells=cells) as case:
        if not labels_file:
            np.savez(case.path("data.npz"), x=x.numpy(), y=labels)
        else:
            case.array(x)
            if labels_file.endswith(".npy"):
                np.save(case.path(labels_file), labels)
            elif labels_file.endswith(".npz"):
                np.savez(case.path(labels_file), labels=labels)


def cases():
    network = vit()
    x = normal(6, 3, 8, 8)
    right = answers(network, x)
    shifted = right.copy()
    shifted[0] = (shifted[0] + 1) % 5
    # Six images, five of them right: what metrics.csv starts with.
    five = {"metrics.csv": [",6,0.8333333333333334,"]}
    column = "pytorch/pytorch #3670"
    arrays("plain", column, shifted, cells=five)
    arrays("column", column, shifted[:, None], cells=five)
    arrays("column_of_floats", column, shifted[:, None].astype(np.float32), cells=five)
    arrays("int32", column, shifted.astype(np.int32), cells=five)
    arrays("uint8", column, shifted.astype(np.uint8), cells=five)
    arrays("one_hot", column, np.eye(5, dtype=np.float32)[shifted], cells=five, notes=["one-hot"])
    arrays("one_hot_of_integers", column, np.eye(5, dtype=np.int64)[shifted], cells=five, notes=["one-hot"])
    arrays("column_file", column, shifted[:, None], cells=five, labels_file="y.npy")
    arrays("labels_npz", column, shifted, cells=five, labels_file="y.npz")
    arrays("soft", column, np.full((6, 5), 0.2, dtype=np.float32), says=["data.npz"])
    arrays("two_columns", column, np.stack([shifted, shifted], 1), says=["data.npz"])
    arrays("three_axes", column, shifted[:, None, None], cells=five)
    arrays("three_axes_of_two", column, np.stack([shifted, shifted], 1)[:, :, None], says=["data.npz"])
    arrays("too_few", "own case", shifted[:3], says=["3", "6"])
    arrays("too_many", "own case", np.concatenate([shifted, shifted]), says=["12", "6"])
    arrays("too_few_in_file", "own case", shifted[:4], says=["4", "6"], labels_file="y.npy")
    arrays("fractions", "own case", shifted + np.float32(0.5), says=["data.npz", "0.5"])
    arrays("not_finite", "own case", np.where(np.arange(6) == 2, np.nan, shifted).astype(np.float32), says=["data.npz", "nan"])
    arrays("beyond_head", "own case", np.where(np.arange(6) == 2, 5, shifted), cells={"metrics.csv": [",0,,,,,class_mismatch"]})
    unlabelled = "pytorch/pytorch #25166, #12670"
    for name, value in (("minus_one", -1), ("minus_hundred", -100), ("minus_two", -2)):
        hidden = shifted.copy()
        hidden[3] = value
        arrays(f"{name}", unlabelled, hidden, cells={"metrics.csv": [",5,0.8,"]}, notes=["no label"])
        arrays(f"{name}_hessian", unlabelled, hidden, says=["data.npz#3"], command="hessian")
    arrays("first_unlabelled_hessian", "pytorch/pytorch #72056", np.where(np.arange(6) == 0, -1, shifted), says=["data.npz#0"],
           command="hessian", more=("--smoothing", "0.1"))
    arrays("all_unlabelled", unlabelled, np.full(6, -1), cells={"variance.csv": ["m,"]})
    arrays("column_hessian", column, shifted[:, None], cells={"hessian_eigs.csv": ["m,"]}, command="hessian")
    arrays("too_many_hessian", "own case", np.concatenate([shifted, shifted]), says=["12", "6"], command="hessian")

    # Folders of classes, sorted otherwise than the head's classes.
    names = ["zebra", "apple", "moon", "boat", "cat"]
    random = np.random.default_rng(5)
    pictures = [np.clip(random.integers(0, 256, 3) + random.normal(0, 60, (8, 8, 3)), 0, 255).astype(np.uint8) for _ in range(12)]
    found = [int(answers(network, (torch.tensor(p.astype(np.float32).transpose(2, 0, 1))[None] / 255 - 0.5) / 0.5)[0])
             for p in pictures]
    options = ["--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5"]

    def folders(name, thread, folder_of, command=("run", "--analyses", "variance"), files=None, value=None, **expectations):
        with Case("labels", name, thread, [command[0], SUBJECT if value is None else "vit(heads=2)@m.safetensors", "--data", "data",
                                  *command[1:], *options], **expectations) as case:
            if value is not None:
                safetensors.torch.save_file(network.state_dict(), case.path("m.safetensors"), metadata={"classes": json.dumps(value)})
            for index, picture in enumerate(pictures):
                Image.fromarray(picture).save(case.path(f"data/{folder_of(found[index])}/{index}.png"))
            for file, text in (files or {}).items():
                case.text(text, file)

    whole = {"metrics.csv": [",12,1.0,"]}
    folders("folders_named_by_checkpoint", "own case", lambda c: names[c], value=names,
            cells=whole)
    index = "\n".join(names) + "\n"
    folders("folders_by_list_of_names", "own case", lambda c: names[c], ("run", "--analyses", "variance", "--class-index", "names.txt"),
            {"names.txt": index}, cells=whole)
    folders("folders_by_class_index", "own case", lambda c: f"n0000{c * 7 % 5}",
            ("run", "--analyses", "variance", "--class-index", "class_index.json"),
            {"class_index.json": json.dumps({str(c): [f"n0000{c * 7 % 5}", names[c]] for c in range(5)})}, cells=whole)
    folders("folders_that_index_lacks", "own case", lambda c: names[c] if c != found[0] else "unicorn",
            ("run", "--analyses", "variance", "--class-index", "names.txt"), {"names.txt": index},
            says=["names.txt", "unicorn"])
    folders("folders_of_no_class", "own case", lambda c: f"thing{c}", cells={"metrics.csv": ["labels_unmapped"]}, notes=["--class-index"])
    folders("folders_of_no_class_hessian", "own case", lambda c: f"thing{c}", ("hessian", "--batch-size", "12", "--batches", "1", "--top", "1"),
            says=["--labels-as-sorted"])
    folders("folders_as_sorted", "own case", lambda c: f"class{c}", ("run", "--analyses", "variance", "--labels-as-sorted"), cells={
        "metrics.csv": [",12,"]})
