"""timm's names of the families that vitprobe reads, and of their relatives, each built small."""
import json, os, re
import timm, torch
from timm.models import list_models
from timm.models._hub import save_config_for_hf
import trial

FAMILIES = {
    "ViT": ["vision_transformer", "deit"],
    "ResNet": ["resnet"],
    "Swin": ["swin_transformer"],
    "PiT": ["pit"],
    "Mixer": ["mlp_mixer"],
}
RELATIVES = {
    "relatives of ViT": ["beit", "eva", "vision_transformer_hybrid", "vision_transformer_relpos",
                         "vision_transformer_sam", "cait", "convit", "xcit", "naflexvit"],
    "relatives of ResNet": ["resnetv2", "resnest", "sknet", "res2net", "senet"],
    "relatives of Swin": ["swin_transformer_v2", "swin_transformer_v2_cr"],
}


def names(modules):
    return [(m, n) for m in modules for n in list_models(module=m)]


def original(name):
    """The network under its own arguments, without memory for its weights; None where that cannot be made."""
    try:
        with torch.device("meta"):
            return timm.create_model(name)
    except Exception:
        return None


def arguments(module, name):
    """Arguments that make the network small and leave its kind alone, the likeliest first."""
    if module in ("resnet", "resnest", "sknet", "res2net"):
        yield dict(layers=(2, 1, 1, 1), channels=(32, 32, 64, 64)), 64
        yield dict(layers=(1, 1, 1, 1)), 64
    elif module == "resnetv2":
        yield dict(layers=(2, 1, 1, 1), channels=(64, 64, 128, 128)), 64
        yield dict(layers=(1, 1, 1, 1)), 64
    elif module == "senet":
        yield dict(layers=(1, 1, 1, 1)), 64
    elif module.startswith("swin"):
        yield dict(embed_dim=24, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16), img_size=64), 64
        yield dict(embed_dim=32, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16), img_size=128), 128
    elif module == "pit":
        yield dict(base_dims=(16, 16, 16), depth=(1, 2, 1), heads=(2, 4, 8), img_size=64), 64
    elif module == "mlp_mixer":
        model = original(name)
        patch = model.stem.patch_size[0] if model is not None else 16
        yield dict(embed_dim=32, num_blocks=2, img_size=4 * patch), 4 * patch
        # Most of them fix width and depth.
        yield dict(img_size=4 * patch), 4 * patch
    else:
        model = original(name)
        patch, head = 16, 64
        if model is not None:
            if hasattr(model, "patch_embed"):
                patch = getattr(model.patch_embed, "patch_size", 16)
                patch = patch if isinstance(patch, int) else patch[0]
            block = model.blocks[0] if hasattr(model, "blocks") and len(model.blocks) else None
            heads = getattr(getattr(block, "attn", None), "num_heads", None)
            if heads:
                head = model.embed_dim // heads
        side = 4 * patch
        if "hybrid" in module:
            side = 128
        yield dict(embed_dim=2 * head, depth=2, num_heads=2, img_size=side), side
        yield dict(embed_dim=4 * head, depth=2, num_heads=4, img_size=side), side
        yield dict(embed_dim=2 * head, depth=2, num_heads=2), None


def small(module, name):
    reasons = []
    for options, side in arguments(module, name):
        options["num_classes"] = 10
        torch.manual_seed(0)
        try:
            model = timm.create_model(name, **options)
        except Exception as error:
            reasons.append(f"{type(error).__name__}: {error}")
            continue
        if sum(p.numel() for p in model.parameters()) > 60e6:
            reasons.append("larger than 60 million parameters")
            continue
        return trial.randomise(model, 1), options, side or model.pretrained_cfg["input_size"][1]
    raise ValueError("; ".join(reasons))


def words(name, model, options):
    """What a refusal may name: the architecture, an argument, a tensor or a part of one."""
    parts = {name, *options}
    for key in model.state_dict():
        parts.add(key)
        for part in re.split(r"\.(?:\d+\.)?", key)[:-1]:
            if len(part) > 3:
                parts.add(part)
    return parts - {"weight", "bias", "blocks", "layers", "num_classes"}


def trials(program, module, name, folder):
    model, options, side = small(module, name)
    x = trial.images(side)
    with torch.no_grad():
        expected = model(x).numpy()
    os.makedirs(f"{folder}/model", exist_ok=True)
    trial.write_tensors(model, f"{folder}/model/model.safetensors")
    trial.write_tensors(model, f"{folder}/bare.safetensors")
    saved = {k: v for k, v in options.items() if k != "num_classes"}
    save_config_for_hf(model, f"{folder}/model/config.json", model_args=saved)
    known = words(name, model, options)
    given = None if "img_size" in options else side
    yield trial.run(program, "model", x, expected, name, "folder", known, folder, given)
    bare = trial.run(program, "bare.safetensors", x, expected, name, "bare", known, folder, side)
    if "heads=" in bare.said and bare.outcome != trial.RIGHT and "num_heads" in options:
        # What was asked for, or assumed, can be given.
        subject = f"vit(heads={options['num_heads']})@bare.safetensors"
        bare = trial.run(program, subject, x, expected, name, "bare", known, folder, side)
    yield bare
