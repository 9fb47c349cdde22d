"""Exports models with random weights and compares every module's output with PyTorch's forward hooks.

    python compare.py VITPROBE [--dynamo | --legacy] [--opset=NUMBER] [--keep=FOLDER] [MODEL ...]
    # needs torch, timm, torchvision, transformers, safetensors; for ONNX onnx and onnxscript

Graphs are exported for one image and run on two: as `.pt2`, or as ONNX by the exporter on `torch.export` (opset 18) or
the older one (opset 17), or in another version of the operations. Prints a row a model: modules compared, the largest difference over them in units of the
module's largest magnitude, that of the result, and modules without a tap. Convolutions that the older exporter joins
with the normalisation behind them are not compared. With --keep exports stay in a folder, and those that are there are
used again.
"""

import contextlib
import io
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.numpy import load_file

warnings.filterwarnings("ignore")

# Name in timm, side of the images, and what makes a smaller instance of the architecture.
TIMM = {
    "vit_tiny_patch16_224": (64, {"img_size": 64, "depth": 3}),
    "deit_tiny_distilled_patch16_224": (64, {"img_size": 64, "depth": 2}),
    "swin_tiny_patch4_window7_224": (112, {"img_size": 112, "depths": (2, 2, 2, 1)}),
    "swinv2_tiny_window8_256": (128, {"img_size": 128, "depths": (2, 2, 2, 1)}),
    "convnext_atto": (64, {}),
    "convnextv2_atto": (64, {}),
    "efficientnet_b0": (64, {}),
    "mobilenetv3_large_100": (64, {}),
    "regnety_004": (64, {}),
    "maxvit_tiny_tf_224": (224, {}),
    "vit_small_patch14_dinov2": (70, {"img_size": 70, "depth": 2}),
    "vit_small_patch14_reg4_dinov2": (70, {"img_size": 70, "depth": 2}),
    "vit_base_patch32_clip_224": (64, {"img_size": 64, "depth": 2}),
    "resnet18": (64, {}),
    "pit_ti_224": (224, {}),
    "volo_d1_224": (224, {}),
    "cait_xxs24_224": (64, {"img_size": 64, "depth": 3}),
    "vit_small_patch16_dinov3": (64, {"img_size": 64, "depth": 2}),
    "eva02_tiny_patch14_224": (70, {"img_size": 70, "depth": 2}),
    "coatnet_0_rw_224": (224, {}),
    "mixer_s32_224": (64, {"img_size": 64}),
    "vit_base_patch16_siglip_224": (64, {"img_size": 64, "depth": 2}),
    "mobilevit_s": (128, {}),
    "levit_128s": (224, {}),
    "xcit_nano_12_p16_224": (64, {"img_size": 64}),
    "beit_base_patch16_224": (64, {"img_size": 64, "depth": 2}),
    "twins_svt_small": (224, {}),
    "davit_tiny": (224, {}),
    "hiera_tiny_224": (224, {}),
    "efficientformer_l1": (224, {}),
}
HUGGING_FACE = ["hf_vit", "hf_dinov2", "hf_clip_vision", "hf_swin", "hf_convnext", "hf_detr"]
TORCHVISION = [
    "tv_vit_b_16", "tv_swin_t", "tv_swin_v2_t", "tv_convnext_tiny", "tv_efficientnet_b0", "tv_mobilenet_v3_large",
    "tv_regnet_y_400mf", "tv_maxvit_t", "tv_resnet50", "tv_densenet121",
]


def hugging_face(name):
    import transformers as hf

    small = {"num_hidden_layers": 2, "hidden_size": 96, "num_attention_heads": 3, "intermediate_size": 192}
    detr = {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None,
            "backbone_config": hf.ResNetConfig(out_features=["stage4"]), "encoder_layers": 2, "decoder_layers": 2}
    make = {
        "hf_vit": (lambda: hf.ViTForImageClassification(hf.ViTConfig(image_size=64, num_labels=7, **small)), 64),
        "hf_dinov2": (lambda: hf.Dinov2Model(hf.Dinov2Config(
            num_hidden_layers=2, image_size=70, hidden_size=96, num_attention_heads=3)), 70),
        "hf_clip_vision": (lambda: hf.CLIPVisionModel(hf.CLIPVisionConfig(image_size=64, **small)), 64),
        "hf_swin": (lambda: hf.SwinModel(hf.SwinConfig(image_size=112, depths=[2, 2], num_heads=[3, 6])), 112),
        "hf_convnext": (lambda: hf.ConvNextModel(hf.ConvNextConfig(
            depths=[1, 1, 2, 1], hidden_sizes=[24, 48, 96, 192])), 64),
        "hf_detr": (lambda: hf.DetrModel(hf.DetrConfig(**detr)), 64),
    }[name]
    return make[0](), make[1]


def build(name):
    torch.manual_seed(0)
    if name.startswith("hf_"):
        model, size = hugging_face(name)
    elif name.startswith("tv_"):
        import torchvision

        size = 224 if "vit" in name else 64
        model = getattr(torchvision.models, name[3:])(weights=None)
    else:
        size, options = TIMM[name]
        model = timm.create_model(name, pretrained=False, **options)
    # Gains, biases and running statistics as of a trained network, not ones and zeros.
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim <= 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
        for key, buffer in model.named_buffers():
            if "running_mean" in key:
                buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
            if "running_var" in key:
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return model.eval(), torch.randn(2, 3, size, size, generator=generator)


def hooked(model, x):
    outputs, calls = {}, {}

    def keep(name):
        def hook(_, __, result):
            if isinstance(result, torch.Tensor):
                calls[name] = calls.get(name, 0) + 1
                outputs[name if calls[name] == 1 else f"{name}#{calls[name]}"] = result.detach().clone().numpy()

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name]
    with torch.no_grad():
        result = model(x)
    for hook in hooks:
        hook.remove()
    if not isinstance(result, torch.Tensor):
        tensors = [value for value in result.values() if isinstance(value, torch.Tensor)]
        result = next((value for value in tensors if value.ndim == 2), tensors[0])
    return outputs, result.numpy()


def distance(a, b):
    if a.size != b.size:
        return float("inf")
    if a.shape != b.shape and a.ndim == 4 and a.transpose(0, 2, 3, 1).shape == b.shape:
        a = a.transpose(0, 2, 3, 1)
    return float(np.abs(a.reshape(b.shape) - b).max() / max(np.abs(b).max(), 1e-30))


def export(model, x, folder, way, opset):
    """The exported file, and the modules whose values are not their own."""
    path = folder / ("m.pt2" if way == "pt2" else "m.onnx")
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            if way == "pt2":
                torch.export.save(torch.export.export(model, (x,)), path)
            elif way == "dynamo":
                torch.onnx.export(model, (x,), path, dynamo=True, opset_version=opset or 18, verbose=False)
            else:
                torch.onnx.export(model, (x,), path, dynamo=False, opset_version=opset or 17)
    if way == "pt2":
        return path, set()
    import onnx

    scopes = [node.name.split("/")[1:-1] for node in onnx.load(path, load_external_data=False).graph.node
              if node.op_type == "Conv" and node.input[1].startswith("onnx::Conv")]
    joined = set()
    for parts in scopes:
        name = ""
        for part in parts:
            cuts = [0] + [place + 1 for place, letter in enumerate(name) if letter == "."]
            cut = next((cut for cut in cuts if part.startswith(name[cut:] + ".")), None) if name else None
            name = name[:cut] + part if cut is not None else f"{name}.{part}".strip(".")
        joined.add(name)
    return path, joined


def row(program, name, way, opset, folder):
    """The line of a model's table."""
    model, x = build(name)
    try:
        path, joined = export(model, x[:1], folder, way, opset)
    except Exception as error:
        return f"| `{name}` | – | not exported: {type(error).__name__} | – | – |"
    np.save(folder / "x.npy", x.numpy())
    run = subprocess.run(
        [program, "capture", path, "--data", folder / "x.npy", "--mean", "0", "--std", "1",
         "--taps", "all", "--replace", "-o", folder / "out"], capture_output=True, text=True)
    if run.returncode:
        reason = run.stderr.strip().splitlines()[-1].replace(str(folder) + "/", "")
        return f"| `{name}` | – | {reason} | – | – |"
    own = load_file(folder / "out/features.safetensors")
    outputs, result = hooked(model, x)
    seen = {key: distance(own[key], value) for key, value in outputs.items() if key in own and key not in joined}
    worst = max(seen, key=seen.get)
    print(f"{name}: {worst}", file=sys.stderr)
    return (f"| `{name}` | {len(seen)} | {seen[worst]:.1e} | {distance(own['logits'], result):.1e} | "
            f"{len(outputs) - len(seen)} |")


def main():
    options = [argument[2:] for argument in sys.argv[1:] if argument.startswith("--")]
    program, *names = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    way = next((option for option in options if option in ("dynamo", "legacy")), "pt2")
    opset = next((int(option[6:]) for option in options if option.startswith("opset=")), None)
    # Attention as one operation has no form before that.
    timm.layers.set_fused_attn(opset is None or opset > 13)
    kept = next((option.split("=", 1)[1] for option in options if option.startswith("keep=")), None)
    torch.set_num_threads(1)
    print("| model | modules | largest difference | result | without a tap |\n| --- | --- | --- | --- | --- |")
    for name in names or [*TIMM, *HUGGING_FACE, *TORCHVISION]:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(kept) / f"{name}-{way}{opset or ''}" if kept else Path(scratch)
            print(row(program, name, way, opset, folder), flush=True)


if __name__ == "__main__":
    main()
