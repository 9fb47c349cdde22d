"""Settings beside the weights: Hugging Face's config.json, timm's config.json, and what can be said of a bare file."""
import timm, torch, transformers as hf
from timm.layers import BlurPool2d
from timm.models._hub import save_config_for_hf
from timm.models.vision_transformer import ResPostBlock
from torch import nn
from case import Case, capture
from networks import ResNet, Block, Bottleneck, normal, output, randomise, resnet, vit
import safetensors.torch

VIT = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=8, patch_size=4,
           num_labels=5)
DINO = {k: v for k, v in VIT.items() if k != "intermediate_size"}
RESNET = dict(embedding_size=4, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_labels=5)
SWIN = dict(embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=2, image_size=16, patch_size=4, num_labels=5,
            mlp_ratio=2.0)


def folder(name, thread, cls, config, x, size=None, says=None, pick=lambda o: o.logits, layer="logits", notes=(), strong=False):
    model = randomise(cls(config))
    if strong:  # Activations about as large as there the two forms of GELU differ most, and of weight.
        with torch.no_grad():
            for block in model.vit.encoder.layer if hasattr(model.vit, "encoder") else model.vit.layers:
                mlp = getattr(block, "mlp", None)
                first = mlp.fc1 if mlp is not None else block.intermediate.dense
                second = mlp.fc2 if mlp is not None else block.output.dense
                first.bias.fill_(2.2)
                first.weight.mul_(0.1)
                second.weight.mul_(20)
    expected = None if says else output(lambda a: model(pixel_values=a), x, pick)
    more = ["--image-size", str(size)] if size else []
    with Case("settings", name, thread, capture("model", "x.npy", layer, *more), expected, says, notes=notes) as case:
        case.array(x)
        model.save_pretrained(case.path("model"))


def timm_folder(name, thread, architecture, options, side, says=None, size=None):
    torch.manual_seed(0)
    model = randomise(timm.create_model(architecture, num_classes=5, **options)).half().float()
    x = normal(1, 3, side, side)
    more = ["--image-size", str(size)] if size else []
    with Case("settings", name, thread, capture("model", "x.npy", "logits", *more), None if says else output(model, x),
              says) as case:
        case.array(x)
        safetensors.torch.save_file({k: v.half() for k, v in model.state_dict().items()}, case.path("model/model.safetensors"))
        save_config_for_hf(model, case.path("model/config.json"), model_args=options)


def bare(name, thread, subject, model, x, *more, layer="logits", says=None, code=65, notes=(), pick=lambda o: o, state=None):
    expected = None if says else output(model, x, pick)
    with Case("settings", name, thread, capture(subject, "x.npy", layer, *more), expected, says, code, notes) as case:
        case.array(x)
        case.torch(model.state_dict() if state is None else state)


class AntialiasedBlock(Block):
    """A basic block whose second convolution follows a blur, as timm's with `aa_layer`."""

    def __init__(self, i, o, stride):
        super().__init__(i, o, 1)
        self.blur = BlurPool2d(o, stride=stride) if stride > 1 else nn.Identity()
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.blur(torch.relu(self.bn1(self.conv1(x))))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


def cases():
    x8, x16, x24 = normal(2, 3, 8, 8), normal(1, 3, 16, 16), normal(1, 3, 24, 24)
    quick = "huggingface/pytorch-image-models #1754, #2031"
    vit_class, config = hf.ViTForImageClassification, hf.ViTConfig
    for act in ("quick_gelu", "gelu_new", "relu", "silu"):
        folder(f"hf_vit_{act}", quick, vit_class, config(**VIT, hidden_act=act), x8, strong=True)
    folder("hf_vit_mish", quick, vit_class, config(**VIT, hidden_act="mish"), x8, says=["hidden_act", "mish"])
    folder("hf_deit_tanh", quick, hf.DeiTForImageClassification, hf.DeiTConfig(**VIT, hidden_act="tanh"), x8,
           says=["hidden_act", "tanh"])
    folder("hf_dinov2_quick_gelu", quick, hf.Dinov2ForImageClassification, hf.Dinov2Config(**DINO, hidden_act="quick_gelu"), x8)
    folder("hf_msn_relu", quick, hf.ViTMSNForImageClassification, hf.ViTMSNConfig(**VIT, hidden_act="relu"), x8,
           says=["no known family", "ViTMSNForImageClassification"])
    folder("hf_swin_silu", quick, hf.SwinForImageClassification, hf.SwinConfig(**SWIN, hidden_act="silu"), x16)
    folder("hf_resnet_gelu", quick, hf.ResNetForImageClassification, hf.ResNetConfig(**RESNET, hidden_act="gelu"), x24, 24)
    folder("hf_vit_eps", "own case", vit_class, config(**VIT, layer_norm_eps=0.05), x8)
    folder("hf_swin_eps", "own case", hf.SwinForImageClassification, hf.SwinConfig(**SWIN, layer_norm_eps=0.05), x16)
    folder("hf_swin_absolute_positions", "open-mmlab/mmdetection PR #8127", hf.SwinForImageClassification,
           hf.SwinConfig(**SWIN, use_absolute_embeddings=True), x16)
    msra = "facebookresearch/detectron2 #1698"
    for key in ("downsample_in_bottleneck", "downsample_in_first_stage"):
        folder(f"hf_resnet_{key}", msra, hf.ResNetForImageClassification, hf.ResNetConfig(**RESNET, **{key: True}), x24, 24)
    folder("hf_swinv2", "own case", hf.Swinv2ForImageClassification, hf.Swinv2Config(**{**SWIN, "pretrained_window_sizes": [0, 0]}),
           x16, says=["Swin V2"])
    folder("hf_vit_rectangle", "facebookresearch/dinov2 #506", vit_class, config(**{**VIT, "image_size": [4, 16]}),
           normal(1, 3, 4, 16), says=["image_size", "4", "16"])
    antialiased = "huggingface/pytorch-image-models PR #101; adobe/antialiased-cnns #3"
    narrow = dict(layers=(1, 1, 1, 1), channels=(8, 8, 8, 8), stem_width=4)

    timm_folder("timm_resnetblur18", antialiased, "resnetblur18", narrow, 32, size=32)
    timm_folder("timm_resnetaa34d", antialiased, "resnetaa34d", narrow, 32, size=32)
    timm_folder("timm_rpn", "own case", "vit_base_patch16_rpn_224",
                dict(img_size=8, patch_size=4, embed_dim=8, depth=1, num_heads=2, mlp_ratio=2), 8)
    timm_folder("timm_quickgelu_name", quick, "vit_base_patch32_clip_quickgelu_224",
                dict(img_size=8, patch_size=4, embed_dim=8, depth=1, num_heads=2, mlp_ratio=2), 8)
    timm_folder("timm_act_layer", quick, "vit_tiny_patch16_224",
                dict(img_size=8, patch_size=4, embed_dim=8, depth=1, num_heads=2, mlp_ratio=2, act_layer="silu"), 8)
    timm_folder("timm_model_args", "own case", "vit_tiny_patch16_224",
                dict(img_size=8, patch_size=4, embed_dim=8, depth=1, num_heads=2, mlp_ratio=2), 8)
    timm_folder("timm_output_stride", "own case", "resnet18", dict(narrow, output_stride=8), 32, size=32)

    # Nothing in these files says what they are: it can be said.
    bare("said_quick_gelu", quick, "vit(heads=2,act=quick-gelu)@m.pth", vit(act_layer="quick_gelu"), x8)
    bare("said_relu", quick, "vit(heads=2,act=relu)@m.pth", vit(act_layer="relu"), x8)
    bare("said_res_post", "own case", "vit(heads=2,norm=res-post)@m.pth", vit(block_fn=ResPostBlock), x8)
    bare("unknown_pool_said", "own case", "resnet(pool=median)@m.pth", resnet(), x24, says=["pool", "median"], code=64)
    simclr = "sthalles/SimCLR #34; weiaicunzai/pytorch-cifar100 #29"
    bare("said_pool_after_small_stem", simclr, "resnet(pool=max)@m.pth", resnet(stem=3), x16, "--image-size", "16")
    bare("said_no_pool_after_large_stem", simclr, "resnet(pool=none)@m.pth", resnet(pool=None), x16, "--image-size", "16")
    bare("said_stem_stride", simclr, "resnet(stem-stride=1)@m.pth", resnet(stem_stride=1), x16, "--image-size", "16")
    bare("said_first_convolution", msra, "resnet(downsample=first)@m.pth",
         resnet(make=lambda i, o, s, d: Bottleneck(i, 4, 16, s, first=True)), x24, "--image-size", "24")
    bare("said_leaky", "own case", "resnet(act=silu)@m.pth", resnet(act=nn.SiLU), x24, "--image-size", "24")
    bare("said_antialiased", antialiased, "resnet(antialias=blur)@m.pth",
         resnet(make=lambda i, o, s, d: AntialiasedBlock(i, o, s),
                pool=nn.Sequential(nn.MaxPool2d(3, 1, 1), BlurPool2d(4, stride=2))), x24, "--image-size", "24")
    bare("said_dilation", "MaureenZOU/Adaptive-anti-Aliasing #5", "resnet(dilation=1-1-1-2)@m.pth", resnet(dilated=(3,)), x24,
         "--image-size", "24")
    segmentation = resnet(head=None)
    state = {f"backbone.{k}": v for k, v in segmentation.state_dict().items()}
    state |= {f"classifier.4.{k}": v for k, v in nn.Conv2d(4, 3, 1).state_dict().items()}
    bare("segmentation_neighbour", "MaureenZOU/Adaptive-anti-Aliasing #5", "m.pth", segmentation, x24, "--image-size", "24",
         layer="gap", notes=["classifier.4"], state=state)
    state = {f"backbone.{k}": v for k, v in segmentation.state_dict().items()}
    state |= {f"aux_classifier.{k}": v for k, v in nn.Conv2d(4, 3, 1).state_dict().items()}
    bare("auxiliary_neighbour", "MaureenZOU/Adaptive-anti-Aliasing #5", "m.pth", segmentation, x24, "--image-size", "24",
         layer="gap", notes=["aux_classifier"], state=state)
    bare("unknown_activation_said", "own case", "vit(heads=2,act=mish)@m.pth", vit(), x8, says=["act", "mish"], code=64)
