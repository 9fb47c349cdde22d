"""How images are prepared: Hugging Face's preprocessor_config.json and timm's pretrained_cfg, on a picture that is no square."""
import json
import numpy as np, safetensors.torch, timm.data, torch, transformers as hf
from PIL import Image
from timm.models._hub import save_config_for_hf
from case import Case, capture
from networks import bitmap, output, randomise, vit

SIDE = 8
BASE = dict(do_resize=True, do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[0.5, 0.4, 0.3],
            image_std=[0.2, 0.3, 0.4], resample=3, image_processor_type="ViTImageProcessor", size={"height": SIDE, "width": SIDE})


def prepared(picture, s):
    """What the processors of transformers make of a picture with Pillow, by their settings."""
    image, kind = Image.fromarray(picture), s.get("image_processor_type", "ViTImageProcessor")
    crops = s.get("do_center_crop", kind.startswith(("DeiT", "Bit", "CLIP")))
    if s.get("do_resize", True):
        size = s["size"]
        if isinstance(size, int):
            size = {"shortest_edge": size} if kind.startswith(("Bit", "CLIP")) else {"height": size, "width": size}
        elif isinstance(size, list):
            size = {"height": size[0], "width": size[1]}
        if "shortest_edge" in size:
            w, h = image.size
            short = size["shortest_edge"]
            w, h = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
        else:
            h, w = size["height"], size["width"]
        image = image.resize((w, h), s.get("resample", 2))
    a = np.asarray(image, dtype=np.float64)
    if crops:
        crop = s["crop_size"]
        crop = (crop, crop) if isinstance(crop, int) else (crop["height"], crop["width"])
        padded = np.zeros((max(a.shape[0], crop[0]), max(a.shape[1], crop[1]), 3))
        top, left = -(-(padded.shape[0] - a.shape[0]) // 2), -(-(padded.shape[1] - a.shape[1]) // 2)
        padded[top:top + a.shape[0], left:left + a.shape[1]] = a
        top, left = (padded.shape[0] - crop[0]) // 2, (padded.shape[1] - crop[1]) // 2
        a = padded[top:top + crop[0], left:left + crop[1]]
    if s.get("do_rescale", True):
        a = a * s.get("rescale_factor", 1 / 255)
    if s.get("do_normalize", True):
        a = (a - s.get("image_mean", 0.5)) / s.get("image_std", 0.5)
    return torch.tensor(a.transpose(2, 0, 1)[None], dtype=torch.float32)


def model():
    return randomise(hf.ViTForImageClassification(hf.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=SIDE, patch_size=4, num_labels=5)))


def one(name, thread, change, drop=(), says=None, shape=(20, 14), more=()):
    settings = {k: v for k, v in {**BASE, **change}.items() if k not in drop}
    picture, network = bitmap(*shape), model()
    expected = None if says else output(lambda a: network(pixel_values=a).logits, prepared(picture, settings))
    with Case("preprocessing", name, thread, capture("model", "a.png", "logits", *more), expected, says) as case:
        Image.fromarray(picture).save(case.path("a.png"))
        network.save_pretrained(case.path("model"))
        case.json(settings, "model/preprocessor_config.json")


def timm_one(name, thread, change, shape=(20, 14), says=None):
    network, picture = vit(), bitmap(*shape)
    cfg = dict(input_size=(3, SIDE, SIDE), interpolation="bicubic", crop_pct=0.8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4),
               crop_mode="center")
    cfg.update(change)
    transform = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=cfg), is_training=False)
    x = transform(Image.fromarray(picture))[None]
    with Case("preprocessing", name, thread, capture("model", "a.png"), None if says else output(network, x), says) as case:
        Image.fromarray(picture).save(case.path("a.png"))
        safetensors.torch.save_file(network.state_dict(), case.path("model/model.safetensors"))
        case.json({"architecture": "vit_tiny_patch16_224", "num_classes": 5, "pretrained_cfg": cfg, "model_args": {
            "img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 1, "num_heads": 2, "mlp_ratio": 2}}, "model/config.json")


def cases():
    switches = "huggingface/transformers #23669"
    one("do_normalize_false", switches, {"do_normalize": False})
    one("do_rescale_false", switches, {"do_rescale": False, "image_mean": 120.0, "image_std": 70.0})
    one("do_rescale_and_normalize_false", switches, {"do_rescale": False, "do_normalize": False})
    one("do_resize_false", switches, {"do_resize": False}, shape=(8, 8))
    one("do_resize_false_other_size", switches, {"do_resize": False}, says=["a.png"])
    one("rescale_factor", switches, {"rescale_factor": 1 / 127.5, "image_mean": 1.0, "image_std": 1.0})
    one("do_center_crop_false", switches, {"do_center_crop": False, "crop_size": 6, "image_processor_type": "DeiTImageProcessor"})
    one("do_center_crop_true", switches, {"do_center_crop": True, "size": {"height": 12, "width": 12},
                                          "crop_size": {"height": 8, "width": 8}})
    one("size_that_is_no_square", switches, {"do_center_crop": True, "size": {"height": 12, "width": 10},
                                             "crop_size": {"height": 8, "width": 8}}, says=["size"])
    one("scalar_mean", "huggingface/transformers PR #18520", {"image_mean": 0.4, "image_std": 0.3})
    one("absent_mean", "huggingface/transformers PR #18520", {}, drop=("image_mean", "image_std"))
    one("absent_switches", switches, {}, drop=("do_resize", "do_rescale", "do_normalize", "rescale_factor"))
    deit = "huggingface/transformers #24070, #11992"
    one("deit_integer_size", deit, {"image_processor_type": "DeiTImageProcessor", "size": 10, "crop_size": 8, "do_center_crop": True})
    one("deit_wide_picture", deit, {"image_processor_type": "DeiTImageProcessor", "size": 10, "crop_size": 8, "do_center_crop": True},
        shape=(10, 23))
    one("vit_integer_size", deit, {"size": 8})
    one("old_extractor", deit, {"feature_extractor_type": "ViTFeatureExtractor", "size": 8}, drop=("image_processor_type",))
    bit = {"image_processor_type": "BitImageProcessor", "do_center_crop": True, "crop_size": {"height": 8, "width": 8}}
    one("bit_shortest_edge", "facebookresearch/dinov2 #326", {**bit, "size": {"shortest_edge": 10}})
    one("clip_integer_size", "facebookresearch/dinov2 #326", {**bit, "image_processor_type": "CLIPImageProcessor", "size": 11,
                                                              "crop_size": 8})
    one("crop_larger_than_image", "own case", {"do_center_crop": True, "size": {"height": 6, "width": 6}, "crop_size": 8})
    for name, filter in (("nearest", 0), ("lanczos", 1), ("bilinear", 2), ("box", 4), ("hamming", 5)):
        one(f"resample_{name}", "own case", {"resample": filter})
    one("resample_unknown", "own case", {"resample": 9}, says=["resample", "9"])
    one("longest_edge", "own case", {"size": {"longest_edge": 8}}, says=["longest_edge"])
    one("unknown_switch", "own case", {"do_flip_channel_order": True}, says=["do_flip_channel_order"])
    one("pads", "own case", {"do_pad": True, "pad_size": {"height": 8, "width": 8}}, says=["do_pad"])
    timm_one("timm_center", "own case", {})
    timm_one("timm_border", "own case", {"crop_mode": "border"})
    timm_one("timm_border_wide", "own case", {"crop_mode": "border"}, shape=(9, 25))
    timm_one("timm_squash", "own case", {"crop_mode": "squash"})
    timm_one("timm_squash_whole", "own case", {"crop_mode": "squash", "crop_pct": 1.0}, shape=(30, 11))
    for option, value in (("--mean", "1.5,0.5,0.5"), ("--std", "0,0.2,0.2"), ("--std", "58,57,57"), ("--mean", "-0.1,0,0")):
        name = "option" + option.replace("-", "_") + "_" + value.split(",")[0].replace(".", "_").replace("-", "minus_")
        picture = bitmap(8, 8)
        with Case("preprocessing", name, "own case", capture("vit(heads=2)@../../vit.safetensors", "a.png", "logits", f"{option}={value}"),
                  says=[option], code=64) as case:
            Image.fromarray(picture).save(case.path("a.png"))
