"""Other names of the same networks."""
import numpy as np, timm, torch, transformers as hf
from torch import nn
from case import Case, capture
from networks import Block, Bottleneck, ResNet, normal, output, randomise, resnet, vit


def one(name, thread, state, expected=None, says=None, subject="m.pth", x=None, layer="logits", more=(), notes=()):
    with Case("names", name, thread, capture(subject, "x.npy", layer, *more), expected, says, notes=notes) as case:
        case.array(x)
        case.torch(state)


def numbered(model):
    """The names of Sequential(*children) of a torchvision ResNet."""
    places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    return {f"{places[k.split('.')[0]]}.{k.split('.', 1)[1]}": v for k, v in model.state_dict().items() if k.split(".")[0] in places}


def lucidrains(model, norm_inside=False):
    """The names of vit-pytorch for the weights of timm's network without biases of queries, keys and values."""
    s = model.state_dict()
    r = {"pos_embedding": s["pos_embed"], "cls_token": s["cls_token"]}
    d, c, p = 8, 3, 4
    w = s["patch_embed.proj.weight"].permute(0, 2, 3, 1).reshape(d, p * p * c)
    r["to_patch_embedding.1.weight"], r["to_patch_embedding.1.bias"] = w.contiguous(), s["patch_embed.proj.bias"]
    b, t = "blocks.0.", "transformer.layers.0."
    pre = (lambda i: f"{t}{i}.norm.") if not norm_inside else (lambda i: f"{t}{i}.norm.")
    fn = f"{t}0.fn." , f"{t}1.fn."
    for i, n in ((0, "norm1"), (1, "norm2")):
        for k in ("weight", "bias"):
            r[pre(i) + k] = s[f"{b}{n}.{k}"]
    r[fn[0] + "to_qkv.weight"] = s[b + "attn.qkv.weight"]
    for k in ("weight", "bias"):
        r[fn[0] + "to_out.0." + k] = s[b + "attn.proj." + k]
        r[fn[1] + "net.0." + k] = s[b + "mlp.fc1." + k]
        r[fn[1] + "net.3." + k] = s[b + "mlp.fc2." + k]
        r["mlp_head.0." + k] = s["norm." + k]
        r["mlp_head.1." + k] = s["head." + k]
    return r


def beit_like(state):
    r = dict(state)
    q, k, v = r.pop("blocks.0.attn.qkv.bias").chunk(3)
    return {**r, "blocks.0.attn.q_bias": q, "blocks.0.attn.v_bias": v}


def jax_vit(model, heads=2):
    s = {k: v.numpy() for k, v in model.state_dict().items()}
    d = s["cls_token"].shape[-1]
    r = {"cls": s["cls_token"], "embedding/kernel": s["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
         "embedding/bias": s["patch_embed.proj.bias"],
         "Transformer/posembed_input/pos_embedding": s["pos_embed"],
         "Transformer/encoder_norm/scale": s["norm.weight"], "Transformer/encoder_norm/bias": s["norm.bias"],
         "head/kernel": s["head.weight"].T, "head/bias": s["head.bias"]}
    e, b = "Transformer/encoderblock_0/", "blocks.0."
    for i, n in ((0, "norm1"), (2, "norm2")):
        r[f"{e}LayerNorm_{i}/scale"], r[f"{e}LayerNorm_{i}/bias"] = s[b + n + ".weight"], s[b + n + ".bias"]
    for n, w, o in zip(("query", "key", "value"), np.split(s[b + "attn.qkv.weight"], 3), np.split(s[b + "attn.qkv.bias"], 3)):
        r[f"{e}MultiHeadDotProductAttention_1/{n}/kernel"] = w.T.reshape(d, heads, d // heads)
        r[f"{e}MultiHeadDotProductAttention_1/{n}/bias"] = o.reshape(heads, d // heads)
    r[f"{e}MultiHeadDotProductAttention_1/out/kernel"] = s[b + "attn.proj.weight"].T.reshape(heads, d // heads, d)
    r[f"{e}MultiHeadDotProductAttention_1/out/bias"] = s[b + "attn.proj.bias"]
    for i, n in ((0, "fc1"), (1, "fc2")):
        r[f"{e}MlpBlock_3/Dense_{i}/kernel"], r[f"{e}MlpBlock_3/Dense_{i}/bias"] = s[f"{b}mlp.{n}.weight"].T, s[f"{b}mlp.{n}.bias"]
    return r


def jax_mixer(model):
    s = {k: v.numpy() for k, v in model.state_dict().items()}
    r = {"stem/kernel": s["stem.proj.weight"].transpose(2, 3, 1, 0), "stem/bias": s["stem.proj.bias"],
         "pre_head_layer_norm/scale": s["norm.weight"], "pre_head_layer_norm/bias": s["norm.bias"],
         "head/kernel": s["head.weight"].T, "head/bias": s["head.bias"]}
    for i, n in ((0, "norm1"), (1, "norm2")):
        r[f"MixerBlock_0/LayerNorm_{i}/scale"] = s[f"blocks.0.{n}.weight"]
        r[f"MixerBlock_0/LayerNorm_{i}/bias"] = s[f"blocks.0.{n}.bias"]
    for m, n in (("token_mixing", "mlp_tokens"), ("channel_mixing", "mlp_channels")):
        for i in (0, 1):
            r[f"MixerBlock_0/{m}/Dense_{i}/kernel"] = s[f"blocks.0.{n}.fc{i + 1}.weight"].T
            r[f"MixerBlock_0/{m}/Dense_{i}/bias"] = s[f"blocks.0.{n}.fc{i + 1}.bias"]
    return r


def cifar(shortcut="conv"):
    make = lambda i, o, s, d: Block(i, o, s, shortcut, part="shortcut")
    return resnet(widths=(4, 8, 16), stem=3, pool=None, head="linear", make=make)


def cases():
    x, x16, x24 = normal(2, 3, 8, 8), normal(1, 3, 16, 16), normal(1, 3, 24, 24)
    side = ("--image-size", "24")
    lucid = "lucidrains/vit-pytorch #234, #78"
    model = vit(qkv_bias=False, norm_layer=nn.LayerNorm)
    one("vit_pytorch", lucid, lucidrains(model), output(model, x), subject="vit(heads=2)@m.pth", x=x)
    pytorch_cifar = "akamaster/pytorch_resnet_cifar10 #3"
    model = cifar()
    one("cifar_linear_shortcut", pytorch_cifar, model.state_dict(), output(model, x16), x=x16, more=("--image-size", "16"))
    model = cifar("pad")
    one("cifar_padded_shortcut", pytorch_cifar, model.state_dict(), output(model, x16), x=x16, more=("--image-size", "16"))
    one("cifar_in_training_file", pytorch_cifar,
        {"net": {"module." + k: v for k, v in cifar().state_dict().items()}, "acc": 91.0, "epoch": 9}, output(cifar(), x16), x=x16,
        more=("--image-size", "16"))
    fastai = "fastai/fastai #3811; xiaolonw/TimeCycle #6"
    body = resnet(head=None)
    one("children", fastai, numbered(body), output(body, x24), layer="gap", x=x24, more=side)
    one("children_of_body", fastai, {"0." + k: v for k, v in numbered(body).items()}, output(body, x24), layer="gap", x=x24, more=side)
    one("children_behind_prefix", fastai, {"features." + k: v for k, v in numbered(body).items()}, output(body, x24), layer="gap",
        x=x24, more=side)
    grouped = "Res2Net/Res2Net-PretrainedModels #4"
    for name, width, groups in (("resnext_2_groups", 8, 2), ("resnext_4_groups", 8, 4), ("wide", 12, 1)):
        model = resnet(make=lambda i, o, s, d, w=width, g=groups: Bottleneck(i, w, 16, s, g))
        one(name, grouped, model.state_dict(), output(model, x24), x=x24, more=side)
    model = vit()
    with torch.no_grad():
        model.blocks[0].attn.qkv.bias[8:16] = 0
    one("query_value_biases", "own case", beit_like(model.state_dict()), output(model, x), subject="vit(heads=2)@m.pth", x=x)
    google = "google-research/vision_transformer PR #317"
    model = vit(norm_layer=nn.LayerNorm)
    with Case("names", "jax_vit", google, capture("vit(heads=2)@m.npz"), output(model, x)) as case:
        case.array(x)
        np.savez(case.path("m.npz"), **jax_vit(model))
    with Case("names", "jax_vit_compressed", google, capture("m.npz"), output(model, x)) as case:
        case.array(x)
        np.savez_compressed(case.path("m.npz"), **{"opt/target/" + k: v for k, v in jax_vit(model).items()})
    from timm.models.mlp_mixer import MlpMixer
    model = randomise(MlpMixer(img_size=8, patch_size=4, embed_dim=8, num_blocks=1, num_classes=5))
    with Case("names", "jax_mixer", google, capture("m.npz"), output(model, x)) as case:
        case.array(x)
        np.savez(case.path("m.npz"), **jax_mixer(model))
    clip = "mlfoundations/open_clip #771"
    vision = hf.CLIPVisionConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=8,
                                 patch_size=4, projection_dim=6)
    model = randomise(hf.CLIPVisionModelWithProjection(vision))
    with Case("names", "clip_folder", clip, capture("model"), output(lambda a: model(pixel_values=a), x, lambda o: o.image_embeds)) as case:
        case.array(x)
        model.save_pretrained(case.path("model"))
    one("open_clip_tower", clip, open_clip(model), output(lambda a: model(pixel_values=a), x, lambda o: o.image_embeds),
        subject="vit(heads=2,act=quick-gelu)@m.pth", x=x)
    from timm.models.resnet import BasicBlock, ResNet as TimmResNet
    narrow = dict(block=BasicBlock, layers=(1, 1, 1, 1), channels=(8, 8, 8, 8), num_classes=5)
    for name, options in (("deep_stem", dict(stem_type="deep", stem_width=4)),
                          ("average_downsample", dict(stem_type="deep", stem_width=4, avg_down=True)),
                          ("squeeze_excitation", dict(stem_type="deep", stem_width=4, block_args=dict(attn_layer="se")))):
        torch.manual_seed(0)
        model = randomise(TimmResNet(**narrow, **options))
        subject = "resnet(avg-down=true)@m.pth" if "avg_down" in options else "m.pth"
        one(name, "own case", model.state_dict(), output(model, x24), x=x24, more=side, subject=subject)


def open_clip(model):
    """The names of open_clip's (and OpenAI's) vision tower."""
    r = {}
    for k, v in model.state_dict().items():
        k = k.replace("vision_model.", "")
        k = (k.replace("embeddings.class_embedding", "class_embedding").replace("embeddings.patch_embedding", "conv1")
              .replace("embeddings.position_embedding.weight", "positional_embedding").replace("pre_layrnorm", "ln_pre")
              .replace("post_layernorm", "ln_post").replace("encoder.layers", "transformer.resblocks")
              .replace("layer_norm1", "ln_1").replace("layer_norm2", "ln_2").replace("mlp.fc1", "mlp.c_fc")
              .replace("mlp.fc2", "mlp.c_proj").replace("self_attn.out_proj", "attn.out_proj"))
        if k == "visual_projection.weight":
            k, v = "proj", v.T.contiguous()
        r["visual." + k] = v
    for kind in ("weight", "bias"):
        parts = [r.pop(f"visual.transformer.resblocks.0.self_attn.{p}_proj.{kind}") for p in "qkv"]
        r[f"visual.transformer.resblocks.0.attn.in_proj_{kind}"] = torch.cat(parts)
    return {k: v for k, v in r.items() if "position_ids" not in k}
