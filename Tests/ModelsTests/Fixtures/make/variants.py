"""Fixtures of names and settings: what timm's and Hugging Face's config.json change, and other spellings of the
same networks. Logits alone are stored.

    python variants.py
"""

import json
import os
import tempfile

import numpy as np
import timm
import torch
import torch.nn as nn
import torch.nn.functional as F

from fixture import Taps, fill, filled, image, write

VIT = dict(img_size=8, patch_size=2, embed_dim=12, num_heads=3, depth=2, num_classes=5)
RESNET = dict(layers=[1, 1, 1, 1], channels=[8, 8, 16, 16], stem_width=8, num_classes=5)


def case(name, model, shape, architecture="", settings=None, rename=lambda k: k, logits=None, keys=None):
    if keys is None:
        keys, _ = fill(model, rename)
    with torch.no_grad():
        out = model(image(shape)) if logits is None else logits(model)
    taps = Taps()
    taps.put("logits", out)
    write(f"variant-{name}", "variant", "", {}, keys, shape, taps,
          metadata=dict(architecture=architecture, settings=json.dumps(settings) if settings else ""))


# timm

def timm_case(name, args, shape):
    model = timm.create_model(name, **args)
    classes = args.pop("num_classes", None)
    settings = dict(architecture=name, num_classes=classes, model_args=args)
    case(f"timm-{name}", model, shape, settings=settings)


def timm_cases():
    for name in ["vit_base_patch16_clip_quickgelu_224", "vit_base_patch16_rpn_224",
                 "vit_base_patch32_siglip_gap_256", "vit_base_patch16_clip_224", "test_vit3"]:
        timm_case(name, dict(VIT, **(dict(mlp_ratio=4.0) if name == "test_vit3" else {})), (2, 3, 8, 8))
    for name in ["resnet26t", "resnet50d", "resnet50s", "resnetblur18", "resnetblur50", "resnetaa50d", "seresnet18",
                 "seresnet50", "resnetrs50", "resnext50_32x4d", "seresnextaa101d_32x8d", "wide_resnet50_2"]:
        args = dict(RESNET)
        if "next" in name:
            args.update(cardinality=2, base_width=32)
        timm_case(name, args, (2, 3, 33, 33))
    timm_case("resnet50", dict(RESNET, output_stride=8), (2, 3, 40, 40))
    timm_case("resnet18", dict(RESNET, output_stride=16, act_layer="silu"), (2, 3, 40, 40))


# Hugging Face

def hf_case(name, model, shape, rename=lambda k: k, **options):
    # transformers 5 renames keys while loading; the published files have the older spelling.
    settings = {k: v for k, v in model.config.to_dict().items() if k not in ("transformers_version",)}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        from safetensors.torch import load_file
        state = load_file(folder + "/model.safetensors")
        settings = json.load(open(folder + "/config.json"))
        keys = []
        for key, value in state.items():
            if value.is_floating_point():
                state[key] = filled(key, tuple(value.shape)).float()
                keys.append([key, list(value.shape)])
        from safetensors.torch import save_file
        save_file(state, folder + "/model.safetensors", dict(format="pt"))
        model = type(model).from_pretrained(folder).double().eval()

    def logits(model):
        out = model(image(shape))
        return out.logits if hasattr(out, "logits") else out.image_embeds if hasattr(out, "image_embeds") \
            else out.pooler_output

    case(f"hf-{name}", model, shape, settings=settings, logits=logits, keys=keys)


def hf_cases():
    import transformers as t

    vit = dict(image_size=8, patch_size=2, hidden_size=12, num_attention_heads=3, num_hidden_layers=2,
               intermediate_size=24, num_labels=5)
    for act in ["gelu_new", "quick_gelu", "relu", "silu"]:
        hf_case(f"vit-{act}", t.ViTForImageClassification(t.ViTConfig(**vit, hidden_act=act)), (2, 3, 8, 8))
    hf_case("vit-eps", t.ViTForImageClassification(t.ViTConfig(**vit, layer_norm_eps=1e-2)), (2, 3, 8, 8))
    del vit["num_labels"]
    hf_case("clip", t.CLIPVisionModelWithProjection(t.CLIPVisionConfig(**vit, projection_dim=7)), (2, 3, 8, 8))
    resnet = dict(embedding_size=8, hidden_sizes=[16, 16, 32, 32], depths=[1, 1, 1, 1], num_labels=5)
    for name, more in [("first", dict(downsample_in_bottleneck=True)), ("stage", dict(downsample_in_first_stage=True)),
                       ("silu", dict(hidden_act="silu")), ("basic-gelu", dict(layer_type="basic", hidden_act="gelu"))]:
        hf_case(f"resnet-{name}", t.ResNetForImageClassification(t.ResNetConfig(**resnet, **more)), (2, 3, 40, 40))


# Other spellings

class Residual(nn.Module):
    """A basic block for CIFAR; `down` is what it calls its shortcut, option A if there is none."""

    def __init__(self, inputs, outputs, stride, option):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.missing = stride, outputs - inputs
        self.shortcut = nn.Sequential()
        if option == "B" and (stride != 1 or inputs != outputs):
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.option = option

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.option == "A":
            x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.missing // 2, self.missing // 2))
        return F.relu(y + self.shortcut(x))


class Cifar(nn.Module):
    def __init__(self, option):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Residual(8, 8, 1, option), Residual(8, 8, 1, option))
        self.layer2 = nn.Sequential(Residual(8, 16, 2, option))
        self.layer3 = nn.Sequential(Residual(16, 32, 2, option))
        self.linear = nn.Linear(32, 5)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


class Attention(nn.Module):
    def __init__(self, dim, heads, norm):
        super().__init__()
        if norm:
            self.norm = nn.LayerNorm(dim)
        self.heads, self.hasNorm = heads, norm
        self.to_qkv = nn.Linear(dim, 3 * 18, bias=False)
        self.to_out = nn.Sequential(nn.Linear(18, dim), nn.Dropout(0))

    def forward(self, x):
        if self.hasNorm:
            x = self.norm(x)
        q, k, v = (t.reshape(*t.shape[:2], self.heads, -1).transpose(1, 2) for t in self.to_qkv(x).chunk(3, -1))
        y = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1) @ v
        return self.to_out(y.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, dim, norm):
        super().__init__()
        parts = [nn.Linear(dim, 20), nn.GELU(), nn.Dropout(0), nn.Linear(20, dim), nn.Dropout(0)]
        self.net = nn.Sequential(*([nn.LayerNorm(dim)] if norm else []), *parts)

    def forward(self, x):
        return self.net(x)


class PreNorm(nn.Module):
    def __init__(self, dim, fn):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(dim), fn

    def forward(self, x):
        return self.fn(self.norm(x))


class Flatten(nn.Module):
    def forward(self, x):
        b, c, h, w = x.shape
        return x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(b, h * w // 4, 4 * c)


class LucidrainsViT(nn.Module):
    """The names of lucidrains/vit-pytorch: of 2023 with norms inside, of 2021 with `PreNorm` and `fn`."""

    def __init__(self, old, dim=12):
        super().__init__()
        norms = [] if old else [nn.LayerNorm(12)]
        self.to_patch_embedding = nn.Sequential(Flatten(), *norms, nn.Linear(12, dim), *([] if old else [nn.LayerNorm(dim)]))
        self.pos_embedding = nn.Parameter(torch.zeros(1, 17, dim))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        pair = (lambda: [PreNorm(dim, Attention(dim, 3, False)), PreNorm(dim, FeedForward(dim, False))]) if old \
            else (lambda: [Attention(dim, 3, True), FeedForward(dim, True)])
        self.transformer = nn.Module()
        self.transformer.layers = nn.ModuleList([nn.ModuleList(pair()) for _ in range(2)])
        if not old:
            self.transformer.norm = nn.LayerNorm(dim)
        self.mlp_head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 5)) if old else nn.Linear(dim, 5)
        self.old = old

    def forward(self, x):
        x = self.to_patch_embedding(x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embedding
        for attention, feed in self.transformer.layers:
            x = x + attention(x)
            x = x + feed(x)
        return self.mlp_head((x if self.old else self.transformer.norm(x))[:, 0])


class CLIPBlock(nn.Module):
    def __init__(self, dim, act):
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, 3)
        self.ln_1, self.ln_2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mlp = nn.Module()
        self.mlp.c_fc, self.mlp.c_proj = nn.Linear(dim, 24), nn.Linear(24, dim)
        self.act = act

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp.c_proj(self.act(self.mlp.c_fc(self.ln_2(x))))


class CLIPTower(nn.Module):
    """The names of OpenAI's and open_clip's image towers."""

    def __init__(self, act, dim=12):
        super().__init__()
        self.conv1 = nn.Conv2d(3, dim, 2, 2, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(dim))
        self.positional_embedding = nn.Parameter(torch.zeros(17, dim))
        self.ln_pre, self.ln_post = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList([CLIPBlock(dim, act) for _ in range(2)])
        self.proj = nn.Parameter(torch.zeros(dim, 7))

    def forward(self, x):
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.positional_embedding
        x = self.ln_pre(x).transpose(0, 1)
        for block in self.transformer.resblocks:
            x = block(x)
        return self.ln_post(x[0]) @ self.proj


def jax_case():
    dim, heads, mlp = 12, 3, 24
    shapes = {"cls": (1, 1, dim), "embedding/kernel": (2, 2, 3, dim), "embedding/bias": (dim,),
              "Transformer/posembed_input/pos_embedding": (1, 17, dim), "Transformer/encoder_norm/scale": (dim,),
              "Transformer/encoder_norm/bias": (dim,), "head/kernel": (dim, 5), "head/bias": (5,)}
    for i in range(2):
        block = f"Transformer/encoderblock_{i}/"
        for n in (0, 2):
            shapes.update({block + f"LayerNorm_{n}/scale": (dim,), block + f"LayerNorm_{n}/bias": (dim,)})
        attention = block + "MultiHeadDotProductAttention_1/"
        for part in ("query", "key", "value"):
            shapes.update({attention + part + "/kernel": (dim, heads, 4), attention + part + "/bias": (heads, 4)})
        shapes.update({attention + "out/kernel": (heads, 4, dim), attention + "out/bias": (dim,)})
        shapes.update({block + "MlpBlock_3/Dense_0/kernel": (dim, mlp), block + "MlpBlock_3/Dense_0/bias": (mlp,),
                       block + "MlpBlock_3/Dense_1/kernel": (mlp, dim), block + "MlpBlock_3/Dense_1/bias": (dim,)})
    model = timm.create_model("vit_tiny_patch16_224", **dict(VIT, mlp_ratio=2))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.npz")
        np.savez(path, **{k: filled(k, s).float().numpy() for k, s in shapes.items()})
        model.load_pretrained(path)
    case("jax", model.double().eval(), (2, 3, 8, 8), keys=[[k, list(s)] for k, s in shapes.items()])


def mixer_case():
    dim, tokens, mlp = 12, 20, 24
    shapes = {"stem/kernel": (2, 2, 3, dim), "stem/bias": (dim,), "pre_head_layer_norm/scale": (dim,),
              "pre_head_layer_norm/bias": (dim,), "head/kernel": (dim, 5), "head/bias": (5,)}
    for i in range(2):
        block = f"MixerBlock_{i}/"
        for n in (0, 1):
            shapes.update({block + f"LayerNorm_{n}/scale": (dim,), block + f"LayerNorm_{n}/bias": (dim,)})
        for part, width, inner in (("token_mixing", 16, tokens), ("channel_mixing", dim, mlp)):
            shapes.update({block + part + "/Dense_0/kernel": (width, inner), block + part + "/Dense_0/bias": (inner,),
                           block + part + "/Dense_1/kernel": (inner, width), block + part + "/Dense_1/bias": (width,)})
    from timm.models.mlp_mixer import MlpMixer
    model = MlpMixer(num_classes=5, img_size=8, patch_size=2, num_blocks=2, embed_dim=dim, mlp_ratio=(20 / 12, 2))
    # timm does not read these: products are transposed, the patch kernel is [row, column, channel, out].
    own = {"stem": "stem.proj", "pre_head_layer_norm": "norm", "head": "head"}
    for i in range(2):
        block = f"MixerBlock_{i}/"
        for n in (0, 1):
            own[block + f"LayerNorm_{n}"] = f"blocks.{i}.norm{n + 1}"
            own[block + f"token_mixing/Dense_{n}"] = f"blocks.{i}.mlp_tokens.fc{n + 1}"
            own[block + f"channel_mixing/Dense_{n}"] = f"blocks.{i}.mlp_channels.fc{n + 1}"
    state = {}
    for key, shape in shapes.items():
        module, leaf = key.rsplit("/", 1)
        value = filled(key, shape)
        if leaf == "kernel":
            value = value.permute(3, 2, 0, 1) if value.dim() == 4 else value.T
        state[own[module] + (".bias" if leaf == "bias" else ".weight")] = value
    model.load_state_dict(state)
    case("jax-mixer", model.double().eval(), (2, 3, 8, 8), keys=[[k, list(s)] for k, s in shapes.items()])


def spellings():
    case("cifar-linear", Cifar("B"), (2, 3, 16, 16))
    case("cifar-option-a", Cifar("A"), (2, 3, 16, 16))
    net = timm.create_model("resnet18", **RESNET)
    case("children", nn.Sequential(*list(net.children())[:-1]), (2, 3, 33, 33))
    net = timm.create_model("resnet18", **RESNET)
    net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    case("pool-kept", net, (2, 3, 16, 16), architecture="resnet(stem=cifar,image=16,depths=1-1-1-1,block=basic,"
         "classes=5,width=8,widths=8-8-16-16,stem-width=64,pool=max)")
    case("vit-pytorch", LucidrainsViT(False), (2, 3, 8, 8), architecture="vit(image=8,heads=3,patch=2,dim=12,depth=2,"
         "classes=5,mlp=20,inner=18,qkv-bias=false,patch-input-norm=true,patch-norm=true)")
    case("vit-pytorch-2021", LucidrainsViT(True), (2, 3, 8, 8), architecture="vit(image=8,heads=3,patch=2,dim=12,depth=2,"
         "classes=5,mlp=20,inner=18,qkv-bias=false)")
    tower = "vit(image=8,heads=3,patch=2,dim=12,depth=2,classes=0,mlp=24,pre-norm=true,patch-bias=false,projection=7"
    case("open-clip", CLIPTower(F.gelu), (2, 3, 8, 8), architecture=tower + ")")
    case("open-clip-quick", CLIPTower(lambda x: x * torch.sigmoid(1.702 * x)), (2, 3, 8, 8),
         architecture=tower + ",act=quick-gelu)")
    jax_case()
    mixer_case()


if __name__ == "__main__":
    torch.set_num_threads(1)
    import sys
    if "--spellings" not in sys.argv:
        timm_cases()
        hf_cases()
    spellings()
