"""Names and dictionaries around a network."""
import torch
from case import Case, capture
from networks import normal, output, resnet, vit

HEADS = "vit(heads=2)@m.pth"


def one(name, thread, value, expected=None, says=None, subject=HEADS, x=None, layer="logits", more=(), notes=(), code=65):
    with Case("wrappers", name, thread, capture(subject, "x.npy", layer, *more), expected, says, code, notes) as case:
        case.array(normal(2, 3, 8, 8) if x is None else x)
        case.torch(value)


def prefixed(state, prefix):
    return {prefix + k: v for k, v in state.items()}


def cases():
    a, b = vit(), vit(2)
    x = normal(2, 3, 8, 8)
    plain, other, right, second = a.state_dict(), b.state_dict(), output(a, x), output(b, x)
    r, rx = resnet(), normal(1, 3, 16, 16)
    residual, rright = r.state_dict(), output(r, rx)
    net = dict(subject="m.pth", x=rx, more=("--image-size", "16"))
    zero = "pytorch/pytorch PR #77224; facebookresearch/dinov2 #544"
    for name, prefix in [("ddp_of_compiled", "module._orig_mod."), ("compiled_of_ddp", "_orig_mod.module."),
                         ("deepspeed", "_forward_module.module."), ("twice", "module.module.")]:
        one(name, "huggingface/pytorch-image-models PR #2003", prefixed(plain, prefix), right)
    for name, part in [("sharded_inside", "_fsdp_wrapped_module."), ("checkpointed_inside", "_checkpoint_wrapped_module."),
                       ("compiled_inside", "_orig_mod."), ("both_inside", "_fsdp_wrapped_module._checkpoint_wrapped_module.")]:
        one(name, zero, {k.replace("blocks.0.", f"blocks.0.{part}"): v for k, v in plain.items()}, right)
    one("chunked", "facebookresearch/dinov2 #235", {k.replace("blocks.0.", "blocks.0.0."): v for k, v in plain.items()}, right)
    deep = vit(depth=2)
    one("chunked_by_one", "facebookresearch/dinov2 #235",
        {k.replace("blocks.1.", "blocks.1.1.").replace("blocks.0.", "blocks.0.0."): v for k, v in deep.state_dict().items()},
        output(deep, x))
    for name, prefix in [("net", "net."), ("lightning_compiled", "model._orig_mod."), ("two_levels", "learner.online_encoder.net."),
                         ("trunk", "visual.trunk."), ("base_model", "base_model.model.")]:
        one(f"prefix_{name}", "Lightning-AI/pytorch-lightning #20233", {"state_dict": prefixed(plain, prefix)}, right)
    for name, prefix in [("resnet", "resnet."), ("detr", "backbone.0.body."), ("query", "encoder_q."), ("task", "base_model.")]:
        one(f"resnet_prefix_{name}", "zhang-can/ECO-pytorch #12", prefixed(residual, prefix), rright, **net)
    moco = {**prefixed(residual, "encoder_q."), **prefixed(resnet(2).state_dict(), "encoder_k.")}
    one("momentum_pair", "facebookresearch/moco (both encoders in one file)", {"state_dict": moco}, rright, notes=["encoder_k.", "--prefix"], **net)
    one("momentum_pair_chosen", "facebookresearch/moco (both encoders in one file)", {"state_dict": moco}, output(resnet(2), rx),
        subject="m.pth", x=rx, more=("--image-size", "16", "--prefix", "encoder_k."))
    for entry in ("net", "module", "params", "weights", "network"):
        one(f"entry_{entry}", "keyu-tian/SparK #58", {entry: plain, "epoch": 3}, right)
    dino = {"student": prefixed(other, "module.backbone."), "teacher": prefixed(plain, "backbone."), "epoch": 1}
    one("teacher_first", "facebookresearch/dino #217, #44", dino, right, notes=["teacher"])
    one("student_chosen", "facebookresearch/dino #217, #44", dino, second, more=("--entry", "student"))
    one("averaged_first", "own case", {"ema": plain, "params": other}, right, notes=["ema"])
    one("missing_entry", "facebookresearch/dino #217, #44", dino, says=["pupil", "teacher", "student"],
        more=("--entry", "pupil"))
    one("missing_prefix", "own case", plain, says=["--prefix", "tower."], more=("--prefix", "tower."), code=64)
    one("teacher_inside", "own case", {"model": {**prefixed(plain, "teacher.backbone."), **prefixed(other, "student.backbone.")}},
        right, notes=["teacher.backbone."])
    one("averaged_model", "pytorch/pytorch PR #35032", {"n_averaged": torch.tensor(3), **prefixed(plain, "module.")}, right)
    one("optimizer_only", "own case", {"optimizer": torch.optim.Adam(a.parameters()).state_dict(), "epoch": 2},
        says=["optimizer"])
    sequential = {**{k: v for k, v in residual.items() if not k.startswith("fc.")}, "fc.1.weight": residual["fc.weight"],
                  "fc.1.bias": residual["fc.bias"]}
    one("head_in_sequential", "own case", sequential, rright, **net)
    deeper = {**{k: v for k, v in plain.items() if not k.startswith("head.")}, "head.2.weight": plain["head.weight"],
              "head.2.bias": plain["head.bias"]}
    one("vit_head_in_sequential", "own case", deeper, right)
    body = resnet()
    body.head = None
    two = {**{k: v for k, v in residual.items() if not k.startswith("fc.")}, "fc.0.weight": normal(6, 4), "fc.0.bias": normal(6),
           "fc.3.weight": normal(5, 6), "fc.3.bias": normal(5)}
    one("head_of_two_layers", "own case", two, output(body, rx), layer="gap", notes=["fc.0"], **net)
