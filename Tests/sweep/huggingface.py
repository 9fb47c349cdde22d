"""Hugging Face's classes of the families, with each configuration key that bears on the output set to another value."""
import dataclasses, json
import torch, transformers as hf
import trial

VIT = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=32,
           patch_size=8, num_labels=10)
DINO = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8, num_labels=10)
CLIP = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=32,
            patch_size=8, projection_dim=16)
RESNET = dict(embedding_size=8, hidden_sizes=[16, 16, 32, 32], depths=[1, 2, 1, 1], num_labels=10)
SWIN = dict(embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, image_size=32, patch_size=4,
            num_labels=10)
TEXT = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=64,
            max_position_embeddings=8, projection_dim=16)
ACTS = [("hidden_act", a) for a in ("gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "swish", "gelu_fast",
                                    "leaky_relu", "tanh", "mish")]


@dataclasses.dataclass
class Case:
    group: str
    make: object  # () -> model
    name: str
    output: object  # model output -> tensor
    layer: str
    size: object
    key: str
    pick: object = lambda a: a


def logits(o): return o.logits
def hidden(o): return o.last_hidden_state
def pooled(o): return o.pooler_output
def first(a): return a[:, 0]


def family(group, cls, config, base, changes, output=logits, layer="logits", pick=lambda a: a, size=32):
    for key, value in [(None, None)] + changes:
        options = {**base, **({key: value} if key else {})}
        side = options.get("image_size", size)
        name = f"{cls.__name__}({key}={json.dumps(value)})" if key else cls.__name__
        yield Case(group, lambda options=options: cls(config(**options)), name, output, layer, side, key or cls.__name__,
                   pick)


def cases():
    vit = ACTS + [("layer_norm_eps", 1e-2), ("qkv_bias", False), ("image_size", 64), ("image_size", [16, 64]),
                  ("patch_size", 4), ("num_channels", 1), ("num_attention_heads", 2), ("intermediate_size", 40)]
    yield from family("HF ViT", hf.ViTForImageClassification, hf.ViTConfig, VIT, vit)
    yield from family("HF ViT", hf.ViTModel, hf.ViTConfig, VIT, vit[:3], hidden, "norm")
    yield from family("HF ViT", hf.DeiTForImageClassification, hf.DeiTConfig, VIT, vit)
    yield from family("HF ViT", hf.DeiTForImageClassificationWithTeacher, hf.DeiTConfig, VIT, vit[:3])
    yield from family("HF ViT", hf.ViTMSNForImageClassification, hf.ViTMSNConfig, VIT, vit)
    yield from family("HF ViT", hf.ViTMAEModel, hf.ViTMAEConfig, {**VIT, "mask_ratio": 0.0}, [], hidden, "norm")
    yield from family("HF ViT", hf.IJepaForImageClassification, hf.IJepaConfig, VIT, vit[:3])
    dino = [c for c in vit if c[0] != "intermediate_size"] + [
        ("use_swiglu_ffn", True), ("mlp_ratio", 2), ("layerscale_value", 0.5), ("apply_layernorm", False)]
    yield from family("HF DINOv2", hf.Dinov2ForImageClassification, hf.Dinov2Config, DINO, dino)
    yield from family("HF DINOv2", hf.Dinov2WithRegistersForImageClassification, hf.Dinov2WithRegistersConfig, DINO,
                      dino + [("num_register_tokens", 2)])
    yield from family("HF DINOv2", hf.Dinov2Model, hf.Dinov2Config, DINO, dino[:3], hidden, "norm")
    yield from family("HF DINOv2", hf.DINOv3ViTModel, hf.DINOv3ViTConfig, {**VIT}, [], hidden, "norm")
    clip = ACTS + [("layer_norm_eps", 1e-2), ("image_size", 64), ("patch_size", 4), ("num_attention_heads", 2)]
    yield from family("HF CLIP", hf.CLIPVisionModelWithProjection, hf.CLIPVisionConfig, CLIP, clip,
                      lambda o: o.image_embeds)
    yield from family("HF CLIP", hf.CLIPVisionModel, hf.CLIPVisionConfig, CLIP, clip[:4], pooled, "norm", first)
    yield from family("HF CLIP", hf.CLIPForImageClassification,
                      lambda **o: hf.CLIPConfig(vision_config=o, text_config=TEXT, num_labels=10), CLIP, clip[:4])
    yield from family("HF CLIP", hf.SiglipVisionModel, hf.SiglipVisionConfig, VIT, ACTS[:3], hidden, "norm")
    yield from family("HF CLIP", hf.SiglipForImageClassification,
                      lambda **o: hf.SiglipConfig(vision_config=o, text_config={**TEXT}, num_labels=10), VIT, ACTS[:3])
    resnet = ACTS + [("downsample_in_first_stage", True), ("downsample_in_bottleneck", True), ("layer_type", "basic"),
                     ("num_channels", 1)]
    yield from family("HF ResNet", hf.ResNetForImageClassification, hf.ResNetConfig, RESNET, resnet, size=64)
    yield from family("HF ResNet", hf.ResNetModel, hf.ResNetConfig, RESNET, resnet[:2], lambda o: o.pooler_output.flatten(1),
                      "gap", size=64)
    swin = ACTS + [("layer_norm_eps", 1e-2), ("qkv_bias", False), ("use_absolute_embeddings", True), ("window_size", 7),
                   ("window_size", 3), ("mlp_ratio", 2.0), ("image_size", 48), ("patch_size", 2), ("num_heads", [4, 4])]
    yield from family("HF Swin", hf.SwinForImageClassification, hf.SwinConfig, SWIN, swin)
    yield from family("HF Swin", hf.SwinModel, hf.SwinConfig, SWIN, swin[:2], hidden, "norm")
    yield from family("HF Swin", hf.Swinv2ForImageClassification, hf.Swinv2Config, SWIN, ACTS[:2])
    beit = ACTS[:4] + [("layer_norm_eps", 1e-2), ("use_mask_token", True), ("use_absolute_position_embeddings", True),
                       ("use_relative_position_bias", True), ("use_shared_relative_position_bias", True),
                       ("use_mean_pooling", False), ("layer_scale_init_value", 0), ("image_size", 64)]
    yield from family("HF BEiT", hf.BeitForImageClassification, hf.BeitConfig, VIT, beit)
    yield from family("HF BEiT", hf.Data2VecVisionForImageClassification, hf.Data2VecVisionConfig, VIT, beit[:2])
    yield from family("HF others", hf.BitForImageClassification, hf.BitConfig,
                      dict(embedding_size=32, hidden_sizes=[32, 32, 64, 64], depths=[1, 1, 1, 1], num_labels=10, num_groups=8),
                      [("layer_type", "bottleneck"), ("global_padding", "SAME")], size=64)
    yield from family("HF others", hf.RegNetForImageClassification, hf.RegNetConfig,
                      dict(embedding_size=8, hidden_sizes=[16, 16, 32, 32], depths=[1, 1, 1, 1], groups_width=8, num_labels=10),
                      [], size=64)


def trials(program, case, folder):
    torch.manual_seed(0)
    model = trial.randomise(case.make(), 1)
    channels = getattr(model.config, "num_channels", 3)
    x = trial.images(case.size)[:, :channels]
    with torch.no_grad():
        more = {}
        if isinstance(model, hf.ViTMAEModel):  # Its patches stay in their order.
            more["noise"] = torch.arange(16.0)[None].expand(2, -1)
        expected = case.output(model(pixel_values=x, **more)).numpy()
    model.save_pretrained(f"{folder}/model")
    side = None if hasattr(model.config, "image_size") or hasattr(model.config, "vision_config") else case.size
    if not isinstance(case.size, int):
        side = None
    words = {case.key, model.config.model_type, type(model).__name__}
    yield trial.run(program, "model", x, expected, case.name, "folder", words, folder, side, case.layer, case.pick)
