"""Fixtures of DWNet, RedNet, PVT and VOLO.

    python local.py --local PATH --pvt PATH --involution PATH [--full]

Checkouts of Atten4Vis/DemystifyLocalViT, whai362/PVT and d-li14/involution; VOLO is timm's. Two of them need
packages that run on CUDA alone: the involutions are the plain one of `involution_naive.py`, and the inhomogeneous
convolution of DWNet is written out here by the formula of its kernel. The dynamic convolution is put in its place,
which a slip in the published file takes again.
"""

import argparse
import sys
import types

import timm
import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.models.volo import VOLO

from fixture import Taps, expect, fill, image, write
from gradients import record

LOCAL = "Atten4Vis/DemystifyLocalViT ce7c0b7"
PVT = "whai362/PVT 57e2dfa"
INVOLUTION = "d-li14/involution 21c3158"


def map_of(v):
    """(B,N,C) of a square map -> (B,C,H,W)."""
    side = round(v.shape[1] ** 0.5)
    return v.transpose(1, 2).reshape(v.shape[0], v.shape[2], side, side)


def channels_first(v):
    return v.permute(0, 3, 1, 2)


def rows(v):
    """(B,H,W,C) -> (B,N,C)."""
    return v.flatten(1, 2) if v.ndim == 4 else v


def evaluate(name, model, taps, shape, printed=None):
    with torch.no_grad():
        logits = model(image(shape))
    taps.put("logits", logits)
    if printed:
        expect(name, [*logits[0, :4], logits[0].sum()], printed, 6e-8)


class ConvModule(nn.Module):
    """mmcv's: a convolution with a normalisation and ReLU; without a normalisation it has a bias."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, conv_cfg=None, norm_cfg=None,
                 act_cfg=dict(type="ReLU"), inplace=True):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=norm_cfg is None)
        if norm_cfg:
            self.bn = nn.BatchNorm2d(out_channels)
        self.activates = act_cfg is not None

    def forward(self, x):
        x = self.conv(x)
        if hasattr(self, "bn"):
            x = self.bn(x)
        return F.relu(x) if self.activates else x


def stand_in(name, **members):
    module = types.ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    sys.modules[name] = module
    return module


# ---------------------------------------------------------------- DWNet


class InhomogeneousConv(nn.Module):
    """The module of idynamic.py; its CUDA kernel as sums over shifted maps."""

    def __init__(self, channels, kernel_size, group_channels):
        super().__init__()
        self.kernel_size, self.groups = kernel_size, channels // group_channels
        self.conv1 = nn.Sequential(nn.Conv2d(channels, channels // 4, 1), nn.BatchNorm2d(channels // 4), nn.ReLU())
        self.conv2 = nn.Sequential(nn.Conv2d(channels // 4, kernel_size**2 * self.groups, 1))

    def forward(self, x):
        b, c, h, w = x.shape
        k, p = self.kernel_size, self.kernel_size // 2
        weight = self.conv2(self.conv1(x)).view(b, self.groups, 1, k, k, h, w)
        padded = F.pad(x, (p, p, p, p)).view(b, self.groups, c // self.groups, h + 2 * p, w + 2 * p)
        out = 0
        for i in range(k):
            for j in range(k):
                out = out + weight[:, :, :, i, j] * padded[..., i : i + h, j : j + w]
        return out.reshape(b, c, h, w)


def dwnet_model(modules, kind, **config):
    depths = config["depths"]
    model = modules.DWNet(inhomo_heads=config.pop("groups", [None] * len(depths)), dynamic=kind != "static",
                          inhomogeneous=kind == "inhomogeneous", **config)
    if kind == "dynamic":
        for m in model.modules():
            if isinstance(m, modules.DWBlock):
                m.conv = modules.DynamicDWConv(m.dim, m.window_size, stride=1, padding=m.window_size // 2, groups=m.dim)
    return model


def of_places(kernel):
    """The weights (B,k^2 G,H,W) that each place makes -> (B,G,places,k^2)."""
    side = kernel.kernel_size**2
    return lambda v: v.view(v.shape[0], -1, side, v.shape[2] * v.shape[3]).transpose(2, 3)


def kernels(taps, conv, name):
    """The kernels of a depth-wise convolution, however they come about."""
    if isinstance(conv, nn.Conv2d):
        taps.output(conv, name, lambda v: conv.weight.flatten(2).expand(v.shape[0], -1, -1, -1))
    elif isinstance(conv, InhomogeneousConv):
        taps.output(conv.conv2, name, of_places(conv))
    else:
        taps.output(conv.conv2, name, lambda v: v.view(v.shape[0], conv.dim, 1, -1))


def dwnet_taps(model):
    taps = Taps()
    taps.output(model.patch_embed, "patch_embed", map_of)
    for i, layer in enumerate(model.layers):
        for j, block in enumerate(layer.blocks):
            name = f"layers.{i}.blocks.{j}"
            kernels(taps, block.attn2conv.conv, f"{name}.dw_map")
            taps.output(block.attn2conv, f"{name}.dw_branch", channels_first)
            taps.input(block.bn, f"{name}.dw_res")
            taps.output(block.mlp, f"{name}.mlp_branch", map_of)
            taps.output(block, f"{name}.mlp_res", map_of)
        if layer.downsample is not None:
            taps.output(layer.downsample, f"layers.{i}.downsample", map_of)
    taps.output(model.norm, "norm", map_of)
    return taps


def dwnet(modules, full):
    printed = {"static": [-0.157133932, 0.371484361, -0.029250806, -0.283233101, -0.00199376],
               "dynamic": [-0.182700643, 0.486674423, 0.024121163, -0.269629967, 0.19329274], "inhomogeneous": None}
    shape = (1, 3, 32, 32)
    for kind in printed:
        config = dict(img_size=32, embed_dim=8, depths=[1, 1], num_classes=5)
        words = dict(image=[32, 32], patch=4, window=7, dim=8, depths=[1, 1], classes=5, kernels=kind)
        if kind == "inhomogeneous":
            config["groups"] = words["group-channels"] = [2, 4]
        model = dwnet_model(modules, kind, **config)
        keys, integers = fill(model)
        taps = dwnet_taps(model)
        evaluate(f"dwnet {kind}", model, taps, shape, printed[kind])
        write(f"dwnet-{kind}", "dwnet", "DemystifyLocalViT", words, keys, shape, taps, (LOCAL,), integers)
        config = dict(config, window_size=3, img_size=16)
        if kind == "inhomogeneous":
            config["groups"] = [2, 4]
        record(f"dwnet-{kind}", "dwnet", "DemystifyLocalViT", {**words, "image": [16, 16], "window": 3},
               dwnet_model(modules, kind, **config), (2, 3, 16, 16), (LOCAL,))
    if full:
        shape = (1, 3, 224, 224)
        model = dwnet_model(modules, "dynamic", img_size=224, embed_dim=96, depths=[2, 2, 6, 2], num_classes=1000)
        keys, integers = fill(model)
        taps = dwnet_taps(model)
        evaluate("", model, taps, shape)
        write("full-dynamic_dwnet_tiny_patch4_window7_224", "dwnet", "DemystifyLocalViT", {}, keys, shape, taps, (LOCAL,),
              integers, limit=1024)


# ---------------------------------------------------------------- RedNet


class RedNetClassifier(nn.Module):
    """The parts of mmcls's ImageClassifier that bear on the logits."""

    def __init__(self, backbone, width, classes):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Module()
        self.head.fc = nn.Linear(width, classes)

    def forward(self, x):
        return self.head.fc(self.backbone(x).mean((2, 3)))


def rednet_modules(path):
    """`rednet.py` with the plain involution and stand-ins for what it takes of mmcv."""
    def build_norm_layer(cfg, channels, postfix=""):
        return f"bn{postfix}", nn.BatchNorm2d(channels)

    def build_conv_layer(cfg, *args, **kwargs):
        return nn.Conv2d(*args, **kwargs)

    def nothing(*args, **kwargs):
        pass

    cnn = stand_in("mmcv.cnn", ConvModule=ConvModule, build_conv_layer=build_conv_layer,
                   build_norm_layer=build_norm_layer, constant_init=nothing, kaiming_init=nothing)
    parrots = stand_in("mmcv.utils.parrots_wrapper", _BatchNorm=nn.BatchNorm2d)
    stand_in("mmcv", cnn=cnn)
    stand_in("mmcv.utils", parrots_wrapper=parrots)
    root = f"{path}/cls/mmcls/models"
    space = {"__name__": "involution"}
    exec(open(f"{root}/utils/involution_naive.py").read(), space)

    class Backbones:
        @staticmethod
        def register_module():
            return lambda cls: cls

    class BaseBackbone(nn.Module):
        def __init__(self):
            super().__init__()

        def train(self, mode=True):
            return super().train(mode)

    source = open(f"{root}/backbones/rednet.py").read()
    for line in ("from ..builder import BACKBONES", "from .base_backbone import BaseBackbone",
                 "from ..utils.involution_cuda import involution"):
        assert line in source
        source = source.replace(line, "")
    names = {"__name__": "rednet", "BACKBONES": Backbones, "BaseBackbone": BaseBackbone,
             "involution": space["involution"]}
    exec(source, names)
    return types.SimpleNamespace(**names)


def rednet_taps(backbone):
    taps = Taps()
    taps.output(backbone.stem[1].conv2, "stem.involution_map", of_places(backbone.stem[1]))
    taps.output(backbone.maxpool, "stem")
    for s in range(1, 5):
        for j, block in enumerate(getattr(backbone, f"layer{s}")):
            taps.output(block.conv2.conv2, f"layer{s}.{j}.involution_map", of_places(block.conv2))
            taps.output(block.conv2, f"layer{s}.{j}.involution")
            taps.output(block.norm3, f"layer{s}.{j}.branch")
            taps.output(block, f"layer{s}.{j}")
    return taps


def rednet(modules, full):
    modules.RedNet.arch_settings[1] = (modules.Bottleneck, (1, 2, 1, 1))
    cases = [("rednet-mmcls", 1, 32, 16, 5, (2, 3, 64, 64), 2_500)]
    if full:
        cases.append(("full-rednet26", 26, 64, 64, 1000, (1, 3, 224, 224), 1024))
    for name, depth, stem, base, classes, shape, limit in cases:
        backbone = modules.RedNet(depth, stem_channels=stem, base_channels=base)
        model = RedNetClassifier(backbone, 32 * base, classes)
        keys, integers = fill(model)
        taps = rednet_taps(backbone)
        evaluate(name, model, taps, shape)
        words = {"image": [64, 64], "depths": [1, 2, 1, 1], "width": base, "stem-width": stem, "classes": classes}
        write(name, "rednet", "mmcls", words, keys, shape, taps, (INVOLUTION,), integers, limit=limit)
    modules.RedNet.arch_settings[1] = (modules.Bottleneck, (1, 1))
    backbone = modules.RedNet(1, stem_channels=32, base_channels=16, num_stages=2, strides=(1, 2), dilations=(1, 1),
                              out_indices=(1,))
    record("rednet", "rednet", "mmcls", {"image": [16, 16], "depths": [1, 1], "width": 16, "stem-width": 32, "classes": 5},
           RedNetClassifier(backbone, 128, 5), (2, 3, 16, 16), (INVOLUTION,))


# ---------------------------------------------------------------- PVT


def pvt_taps(model):
    taps = Taps()
    for s in range(1, 5):
        for j, block in enumerate(getattr(model, f"block{s}")):
            name = f"block{s}.{j}"
            if j == 0:
                taps.input(block, f"patch_embed{s}")
            taps.output(block.attn.attn_drop, f"{name}.attn_map")
            taps.output(block.attn, f"{name}.attn_branch")
            taps.input(block.norm2, f"{name}.attn_res")
            taps.output(block.mlp, f"{name}.mlp_branch")
            taps.output(block, f"{name}.mlp_res")
    taps.output(model.norm, "norm")
    return taps


def pvt(modules, full):
    from functools import partial

    norm = partial(nn.LayerNorm, eps=1e-6)
    small = dict(img_size=64, patch_size=4, embed_dims=[8, 16, 16, 24], num_heads=[1, 2, 2, 3], mlp_ratios=[4, 4, 2, 2],
                 qkv_bias=True, depths=[1, 2, 1, 2], sr_ratios=[8, 4, 2, 1], num_classes=5, norm_layer=norm)
    words = {"image": [64, 64], "patch": 4, "dims": [8, 16, 16, 24], "depths": [1, 2, 1, 2], "heads": [1, 2, 2, 3],
             "mlp": [32, 64, 32, 48], "reductions": [8, 4, 2, 1], "classes": 5, "qkv-bias": True, "eps": 1e-6}
    cases = [("pvt", small, words, (2, 3, 64, 64), 2_500),
             ("pvt-no-bias", dict(small, qkv_bias=False), {**words, "qkv-bias": False}, (1, 3, 64, 64), 2_500)]
    if full:
        tiny = dict(patch_size=4, embed_dims=[64, 128, 320, 512], num_heads=[1, 2, 5, 8], mlp_ratios=[8, 8, 4, 4],
                    qkv_bias=True, norm_layer=norm, depths=[2, 2, 2, 2], sr_ratios=[8, 4, 2, 1])
        cases.append(("full-pvt_tiny", tiny, {}, (1, 3, 224, 224), 1024))
    for name, config, words, shape, limit in cases:
        model = modules.PyramidVisionTransformer(**config)
        keys, integers = fill(model)
        taps = pvt_taps(model)
        evaluate(name, model, taps, shape)
        write(name, "pvt", "PVT", words, keys, shape, taps, (PVT,), integers, limit=limit)
    tiny = dict(small, img_size=32, embed_dims=[4, 4, 8, 8], num_heads=[1, 1, 2, 2], mlp_ratios=[2, 2, 2, 2], depths=[1, 1, 1, 1],
                sr_ratios=[4, 2, 2, 1])
    words = {**words, "image": [32, 32], "dims": [4, 4, 8, 8], "depths": [1, 1, 1, 1], "heads": [1, 1, 2, 2], "mlp": [8, 8, 16, 16],
             "reductions": [4, 2, 2, 1]}
    record("pvt", "pvt", "PVT", words, modules.PyramidVisionTransformer(**tiny), (2, 3, 32, 32), (PVT,))


# ---------------------------------------------------------------- VOLO


def volo_taps(model):
    taps = Taps()
    taps.output(model.patch_embed, "patch_embed", lambda v: v.flatten(2).transpose(1, 2))
    for i, stage in enumerate(model.network):
        if not isinstance(stage, nn.Sequential):
            continue
        for j, block in enumerate(stage):
            name = f"network.{i}.{j}"
            if i == 2 and j == 0:
                taps.input(block, "network.1", rows)
            if hasattr(block.attn, "fused_attn"):
                block.attn.fused_attn = False
                taps.output(block.attn.attn_drop, f"{name}.attn_map")
            else:
                # Windows count as images.
                taps.output(block.attn.attn_drop, f"{name}.attn_map", lambda v: v.transpose(1, 2).flatten(0, 1))
            taps.output(block.attn, f"{name}.attn_branch", rows)
            taps.input(block.norm2, f"{name}.attn_res", rows)
            taps.output(block.mlp, f"{name}.mlp_branch", rows)
            taps.output(block, f"{name}.mlp_res", rows)
    for k, block in enumerate(model.post_network):
        taps.output(block.attn.attn_drop, f"post_network.{k}.attn_map")
        taps.output(block, f"post_network.{k}.cls", lambda v: v[:, 0])
    taps.output(model.norm, "norm", lambda v: v[:, 0])
    return taps


def volo(full):
    small = dict(img_size=32, layers=[1, 1], embed_dims=[8, 16], num_heads=[2, 4], mlp_ratio=3.0, stem_hidden_dim=8,
                 num_classes=5, outlook_attention=(True, False), downsamples=(True, False))
    words = {"image": [32, 32], "patch": 8, "dims": [8, 16], "depths": [1, 1], "heads": [2, 4], "stem-width": 8,
             "mlp-ratio": 3, "class-blocks": 2, "token-head": True, "classes": 5}
    deep = dict(small, img_size=48, layers=[2, 1, 2], embed_dims=[8, 16, 16], num_heads=[2, 4, 2], use_aux_head=False,
                outlook_attention=(True, False, False), downsamples=(True, False, False))
    deep_words = {**words, "image": [48, 48], "dims": [8, 16, 16], "depths": [2, 1, 2], "heads": [2, 4, 2],
                  "token-head": False}
    printed = [-0.275368842, 0.342137421, 0.639994532, -0.434348954, 0.13224280]
    cases = [("volo", small, words, (1, 3, 32, 32), printed, 2_500),
             ("volo-no-token-head", deep, deep_words, (2, 3, 48, 48), None, 2_500)]
    for name, config, words, shape, printed, limit in cases:
        model = VOLO(**config)
        keys, integers = fill(model)
        taps = volo_taps(model)
        evaluate(name, model, taps, shape, printed)
        write(name, "volo", "VOLO", words, keys, shape, taps, (), integers, limit=limit)
        if name == "volo":
            record(name, "volo", "VOLO", words, VOLO(**config), (2, *shape[1:]))
    if full:
        model = timm.create_model("volo_d1_224")
        keys, integers = fill(model)
        taps = volo_taps(model)
        evaluate("volo_d1", model, taps, (1, 3, 224, 224))
        write("full-volo_d1_224", "volo", "VOLO", {}, keys, (1, 3, 224, 224), taps, (), integers, limit=1024)


def local_modules(path):
    """`models/dwnet.py` with the inhomogeneous convolution written out."""
    source = open(f"{path}/models/dwnet.py").read()
    line = "from .idynamic import IDynamicDWConv"
    assert line in source
    source = source.replace(line, "").replace("timm.models.layers", "timm.layers")
    names = {"__name__": "dwnet", "IDynamicDWConv": InhomogeneousConv}
    exec(source, names)
    return types.SimpleNamespace(**names)


def pvt_modules(path):
    source = open(f"{path}/classification/pvt.py").read().replace("timm.models.layers", "timm.layers")
    # Names in a registry are not needed, and timm's has some of them.
    source = source.replace("from timm.models.registry import register_model", "register_model = lambda f: f")
    names = {"__name__": "pvt"}
    exec(source, names)
    return types.SimpleNamespace(**names)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--local", required=True)
    parser.add_argument("--pvt", required=True)
    parser.add_argument("--involution", required=True)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    dwnet(local_modules(options.local), options.full)
    rednet(rednet_modules(options.involution), options.full)
    pvt(pvt_modules(options.pvt), options.full)
    volo(options.full)
