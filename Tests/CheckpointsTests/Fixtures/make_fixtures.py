"""Writes the files beside this script that the tests read.

Run in this folder: python make_fixtures.py
Made with Python 3.11.7, torch 2.15.0, numpy 2.4.6 and safetensors 0.8.0.

Every tensor called "floats" holds FLOATS, every one called "ints" holds INTS, in shape [2, 3]:
values that all types represent exactly.
"""
import argparse
import collections
import json
import os
import pickle
import zipfile

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

FLOATS = [-2.0, -0.5, 0.0, 0.25, 1.0, 3.0]
INTS = [0, 1, 2, 3, 4, 5]
floats = torch.tensor(FLOATS).reshape(2, 3)
ints = torch.tensor(INTS).reshape(2, 3)
D = collections.OrderedDict


def save(name, value, **options):
    torch.save(value, name, **options)


# safetensors -----------------------------------------------------------------------------------
safetensors.torch.save_file(
    {
        "F64": floats.double(), "F32": floats, "F16": floats.half(), "BF16": floats.bfloat16(),
        "I64": ints, "I32": ints.int(), "I16": ints.short(), "I8": ints.to(torch.int8),
        "U8": ints.to(torch.uint8), "U16": ints.to(torch.uint16), "U32": ints.to(torch.uint32),
        "U64": ints.to(torch.uint64), "BOOL": ints.bool(), "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3), "F8_E4M3": floats.to(torch.float8_e4m3fn),
        "F8_E5M2": floats.to(torch.float8_e5m2), "C64": torch.tensor([1 + 2j]),
    },
    "dtypes.safetensors", metadata={"format": "pt", "note": "grüße \"quoted\"\n"})
safetensors.torch.save_file({}, "none.safetensors")
tied = torch.nn.ModuleDict({"embed": torch.nn.Linear(3, 2), "head": torch.nn.Linear(3, 2)})
tied["head"].weight = tied["embed"].weight
with torch.no_grad():
    tied["embed"].weight.copy_(floats)
    tied["embed"].bias.zero_()
    tied["head"].bias.fill_(1)
safetensors.torch.save_model(tied, "tied.safetensors", metadata={"format": "pt"})

# Hugging Face folders ----------------------------------------------------------------------------
os.makedirs("sharded", exist_ok=True)
safetensors.torch.save_file({"a.weight": floats}, "sharded/model-00001-of-00002.safetensors")
safetensors.torch.save_file({"b.weight": floats.half()}, "sharded/model-00002-of-00002.safetensors")
with open("sharded/model.safetensors.index.json", "w") as f:
    json.dump({"metadata": {"total_size": 36}, "weight_map": {
        "a.weight": "model-00001-of-00002.safetensors",
        "b.weight": "model-00002-of-00002.safetensors"}}, f)
with open("sharded/config.json", "w") as f:
    json.dump({"architectures": ["ViTForImageClassification"], "hidden_size": 192,
               "layer_norm_eps": 1e-12}, f)
with open("sharded/preprocessor_config.json", "w") as f:
    json.dump({"image_mean": [0.5, 0.5, 0.5]}, f)
os.makedirs("pickled", exist_ok=True)
save("pickled/pytorch_model.bin", D(floats=floats))
with open("pickled/config.json", "w") as f:
    json.dump({"model_type": "vit"}, f)

# torch.save --------------------------------------------------------------------------------------
save("dtypes.pth", D([
    ("F64", floats.double()), ("F32", floats), ("F16", floats.half()), ("BF16", floats.bfloat16()),
    ("I64", ints), ("I32", ints.int()), ("I16", ints.short()), ("I8", ints.to(torch.int8)),
    ("U8", ints.to(torch.uint8)), ("U16", ints.to(torch.uint16)), ("U32", ints.to(torch.uint32)),
    ("U64", ints.to(torch.uint64)), ("BOOL", ints.bool()), ("scalar", torch.tensor(2.5)),
    ("empty", torch.zeros(0, 3))]))
base = torch.arange(24.0).reshape(2, 3, 4)
save("views.pth", {
    "base": base, "transposed": base.transpose(0, 2), "slice": base[1, :, 1:3],
    "step": base.flatten()[::5], "expanded": base[0, 0, :1].expand(3, 4),
    "row": base[1, 2], "channels_last": torch.arange(48.0).reshape(2, 3, 2, 4).contiguous(
        memory_format=torch.channels_last), "one": base[:1, :, :1].transpose(0, 2)})
save("parameters.pth", {"p": torch.nn.Parameter(floats), "q": torch.nn.Parameter(floats.half())})
model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
with torch.no_grad():
    model[0].weight.copy_(floats)
    model[0].bias.zero_()
save("module_prefix.pth.tar", {
    "name": "resnet", "epoch": 7,
    "state_dict": torch.nn.DataParallel(model).state_dict(),
    "optimizer": torch.optim.AdamW(model.parameters()).state_dict()})
save("deit.pth", {
    "model": D(floats=floats), "model_ema": D(floats=floats + 1), "epoch": 299,
    "args": argparse.Namespace(model="deit_tiny_patch16_224", lr=5e-4, nested={"a": 1}),
    "metric": np.float64(0.721), "loss": torch.tensor(1.5)})
save("nested.pth", {"model": {"state_dict": D(floats=floats)}, "epoch": 1})
save("model_state_dict.pth", {"model_state_dict": D(floats=floats)})
for protocol in (2, 3, 4, 5):
    save(f"protocol{protocol}.pth", {"state_dict": D(floats=floats), "best": 0.5, "n": 10**6},
         pickle_protocol=protocol)
torch.serialization.set_crc32_options(False)
save("without_checksums.pth", {"floats": floats})
torch.serialization.set_crc32_options(True)
save("legacy.pth", {"floats": floats}, _use_new_zipfile_serialization=False)
# The stream of before 1.6: every type, views of one storage, and a training file.
old = {"_use_new_zipfile_serialization": False}
save("legacy_dtypes.pth", D([
    ("F64", floats.double()), ("F32", floats), ("F16", floats.half()), ("BF16", floats.bfloat16()),
    ("I64", ints), ("I32", ints.int()), ("I16", ints.short()), ("I8", ints.to(torch.int8)),
    ("U8", ints.to(torch.uint8)), ("BOOL", ints.bool()), ("scalar", torch.tensor(2.5)),
    ("empty", torch.zeros(0, 3))]), **old)
save("legacy_views.pth", {
    "base": base, "transposed": base.transpose(0, 2), "slice": base[1, :, 1:3],
    "step": base.flatten()[::5], "row": base[1, 2]}, **old)
save("legacy_training.pth", {
    "state_dict": D(floats=floats), "state_dict_ema": D(floats=floats + 1), "epoch": 3}, **old)
with open("legacy.pth", "rb") as f:
    whole = f.read()
with open("legacy_trailing.pth", "wb") as f:
    f.write(whole + bytes(512))
# An archive unpacked and packed again, compressed, and one with bytes after its end.
with zipfile.ZipFile("views.pth") as whole, zipfile.ZipFile(
        "compressed.pth", "w", zipfile.ZIP_DEFLATED) as out:
    out.mkdir("archive")
    for name in whole.namelist():
        out.writestr(zipfile.ZipInfo("archive/" + name.split("/", 1)[1]), whole.read(name),
                     zipfile.ZIP_DEFLATED)
with open("protocol2.pth", "rb") as f:
    whole = f.read()
with open("trailing.pth", "wb") as f:
    f.write(whole + bytes(512))
# Training files with several sets of weights, NumPy arrays, and pickles by themselves.
save("distillation.pth", {"student": D(floats=floats), "teacher": D(floats=floats + 1), "epoch": 1})
save("twice.pth", {"model": {"student": D(floats=floats), "teacher": D(floats=floats + 1)}})
save("unknown_key.pth", {"trunk": D(floats=floats), "optimizer": {"state": {}, "param_groups": []}})
save("optimizer.pth", torch.optim.AdamW(model.parameters()).state_dict())
arrays = {"floats": floats.numpy(), "ints": ints.numpy(), "half": floats.half().numpy(),
          "big": floats.numpy().astype(">f8"), "fortran": np.asfortranarray(floats.numpy()),
          "scalar": np.array(2.5), "empty": np.zeros((0, 3), np.float32), "names": np.array(["a"])}
save("arrays.pth", {"model": arrays, "epoch": 3})
for protocol in (2, 4, 5):
    with open(f"arrays{protocol}.pkl", "wb") as f:
        pickle.dump({"model": arrays, "epoch": 3}, f, protocol=protocol)
save("whole_model.pth", torch.nn.Linear(3, 2))
save("sparse.pth", {"floats": floats, "sparse": floats.to_sparse()})
save("quantised.pth", {"q": torch.quantize_per_tensor(floats, 0.1, 0, torch.qint8)})
torch.jit.save(torch.jit.trace(torch.nn.Linear(3, 2), floats), "torchscript.pt")


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/vitprobe-was-here",)


save("evil_side.pth", {"state_dict": D(floats=floats), "hook": Evil()})
save("evil_bare.pth", {"floats": floats, "hook": Evil()})
save("evil_tensor.pth", {"state_dict": D(floats=floats, weight=Evil())})

# NumPy -------------------------------------------------------------------------------------------
f = np.array(FLOATS, np.float32).reshape(2, 3)
i = np.array(INTS).reshape(2, 3)
for code in ("f2", "f4", "f8"):
    np.save(f"{code}.npy", f.astype(code))
    np.save(f"big_{code}.npy", f.astype(">" + code))
for code in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
    np.save(f"{code}.npy", i.astype(code))
np.save("big_i4.npy", i.astype(">i4"))
np.save("b1.npy", i.astype(bool))
np.save("fortran.npy", np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)))
np.save("big_fortran.npy", np.asfortranarray(np.arange(24).reshape(2, 3, 4).astype(">i2")))
np.save("scalar.npy", np.float32(2.5))
np.save("empty.npy", np.zeros((0, 3), np.float32))
for version in ((1, 0), (2, 0), (3, 0)):
    with open(f"version{version[0]}.npy", "wb") as out:
        np.lib.format.write_array(out, f, version=version)
np.save("object.npy", np.array([{"a": 1}, None], object), allow_pickle=True)
np.save("text.npy", np.array(["cat", "dog"]))
np.save("structured.npy", np.zeros(2, [("x", "f4"), ("y", "i4")]))
np.save("complex.npy", np.array([1 + 2j]))
np.savez("stored.npz", floats=f, ints=i, fortran=np.asfortranarray(f))
np.savez_compressed("deflated.npz", floats=f, ints=i, zeros=np.zeros(100_000, np.float32))

print("torch", torch.__version__, "numpy", np.__version__, "safetensors", safetensors.__version__)
