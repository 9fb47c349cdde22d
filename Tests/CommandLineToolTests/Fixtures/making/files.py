"""Files of other kinds under the names of checkpoints, and forms that PyTorch reads."""
import io, json, struct, zipfile
import numpy as np, safetensors.torch, torch
from case import Case, capture
from networks import normal, output, resnet, vit

HEADS = "vit(heads=2)@"


def inspect(name, thread, data, file, says):
    with Case("files", name, thread, ["inspect", file], says=says) as case:
        case.bytes(data, file)


def loads(name, thread, write, file="m.pth", network=None, notes=()):
    network = network or vit()
    x = normal(2, 3, 8, 8)
    with Case("files", name, thread, capture(HEADS + file), output(network, x), notes=notes) as case:
        case.array(x)
        write(case, network.state_dict())


def cases():
    page = "safetensors/safetensors #414"
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 346284714\n"
    inspect("lfs_pointer", page, lfs, "m.safetensors", ["Git LFS", "git lfs pull"])
    inspect("lfs_pointer_pth", page, lfs, "m.pth", ["Git LFS"])
    inspect("html_page", page, b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n", "m.pth", ["HTML"])
    inspect("html_page_lower", page, b"\n  <html lang=en><body>Sign in</body></html>", "m.safetensors", ["HTML"])
    inspect("json_error", page, b'{"error":"Repository not found"}', "m.safetensors", ["JSON"])
    inspect("xml_error", page, b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>', "m.pth", ["XML"])
    inspect("gguf", page, b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(32), "m.bin", ["GGUF"])
    inspect("onnx", page, bytes([8, 8, 0x12, 7]) + b"pytorch" + bytes([0x1A, 5]) + b"2.1.0" + bytes(40), "m.onnx", ["ONNX"])
    inspect("hdf5", page, b"\x89HDF\r\n\x1a\n" + bytes(64), "m.h5", ["HDF5"])
    inspect("tensorflow_graph", page, b"\x0a\x20\x0a\x05input\x12\x0bPlaceholder*\x0c\x0a\x05dtype\x12\x03\x30\x01" + bytes(30), "saved_model.pb",
            ["TensorFlow"])
    inspect("empty", page, b"", "m.pth", ["empty"])
    inspect("index_alone", page, json.dumps({"metadata": {"total_size": 8}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}).encode(),
            "model.safetensors.index.json", ["index"])
    inspect("gzip", page, b"\x1f\x8b\x08" + bytes(40), "m.pth", ["gzip"])
    lora = {"base_model.model.vit.encoder.layer.0.attention.attention.query.lora_A.weight": normal(2, 8),
            "base_model.model.vit.encoder.layer.0.attention.attention.query.lora_B.weight": normal(8, 2)}
    with Case("files", "lora_adapter", "own case", capture(HEADS + "adapter_model.safetensors"), says=["LoRA"]) as case:
        safetensors.torch.save_file(lora, case.path("adapter_model.safetensors"))
        case.array(normal(2, 3, 8, 8))
    with Case("files", "torchscript", "own case", ["inspect", "m.pt"], says=["TorchScript"]) as case:
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), case.path("m.pt"))

    legacy = "pytorch/vision #2068; open-mmlab/mmpretrain #74"
    loads("legacy", legacy, lambda c, s: c.torch(s, _use_new_zipfile_serialization=False))
    loads("legacy_training_file", legacy, lambda c, s: c.torch({"state_dict": s, "epoch": 4}, _use_new_zipfile_serialization=False))

    def views(c, s):
        """One storage for several tensors, one of them transposed."""
        flat = torch.cat([v.reshape(-1) for v in s.values()])
        at, r = 0, {}
        for k, v in s.items():
            r[k] = flat[at:at + v.numel()].view(v.shape)
            at += v.numel()
        r["head.weight"] = s["head.weight"].T.contiguous().T
        return r
    loads("legacy_views", legacy, lambda c, s: c.torch(views(c, s), _use_new_zipfile_serialization=False))
    halves = vit()
    with torch.no_grad():
        for p in halves.parameters():
            p.copy_(p.half().float())
    loads("legacy_halves", legacy, lambda c, s: c.torch({k: v.half() for k, v in s.items()}, _use_new_zipfile_serialization=False),
          network=halves)
    loads("views", "chalmersplasmatheory/DREAM #394", lambda c, s: c.torch(views(c, s)))

    def zipped(c, s, method, tail=b""):
        buffer = io.BytesIO()
        torch.save(s, buffer)
        source = zipfile.ZipFile(buffer)
        with zipfile.ZipFile(c.path("m.pth"), "w", method) as target:
            for item in source.namelist():
                target.writestr(item, source.read(item))
        if tail:
            with open(c.path("m.pth"), "ab") as f:
                f.write(tail)
    loads("compressed", "iCVTEAM/PGNet #3", lambda c, s: zipped(c, s, zipfile.ZIP_DEFLATED))
    loads("compressed_training_file", "iCVTEAM/PGNet #3", lambda c, s: zipped(c, {"model": s, "epoch": 1}, zipfile.ZIP_DEFLATED))
    loads("stored_anew", "iCVTEAM/PGNet #3", lambda c, s: zipped(c, s, zipfile.ZIP_STORED))
    loads("bytes_after", "own case", lambda c, s: zipped(c, s, zipfile.ZIP_STORED, bytes(100)))
    loads("numpy_arrays", "own case", lambda c, s: c.torch({k: v.numpy() for k, v in s.items()}))
    loads("numpy_arrays_nested", "own case", lambda c, s: c.torch({"params": {k: v.numpy() for k, v in s.items()}, "step": 2}))
    tied = "keras-team/keras-hub PR #3076; huggingface/accelerate PR #2875"

    def alias(c, s, other):
        kept = {k: v for k, v in s.items() if k != "head.weight"}
        kept[other] = s["head.weight"]
        safetensors.torch.save_file(kept, c.path("m.safetensors"), metadata={"format": "pt", "head.weight": other})
    loads("tied_alias", tied, lambda c, s: alias(c, s, "fc.weight"), "m.safetensors")

    def two_aliases(c, s):
        kept = {k: v for k, v in s.items() if k not in ("norm.bias", "blocks.0.norm1.bias")}
        safetensors.torch.save_file(kept, c.path("m.safetensors"), metadata={
            "format": "pt", "norm.bias": "blocks.0.norm2.bias", "blocks.0.norm1.bias": "blocks.0.norm2.bias"})
    shared = vit()
    with torch.no_grad():
        shared.norm.bias.copy_(shared.blocks[0].norm2.bias)
        shared.blocks[0].norm1.bias.copy_(shared.norm.bias)
    loads("two_aliases", tied, two_aliases, "m.safetensors", shared)
    with Case("files", "alias_in_a_ring", tied, capture(HEADS + "m.safetensors"), says=["blocks.0.norm1.bias"]) as case:
        kept = {k: v for k, v in vit().state_dict().items() if k not in ("norm.bias", "blocks.0.norm1.bias")}
        safetensors.torch.save_file(kept, case.path("m.safetensors"), metadata={"norm.bias": "blocks.0.norm1.bias",
                                                                                "blocks.0.norm1.bias": "norm.bias"})
        case.array(normal(2, 3, 8, 8))
    swin_table()


def swin_table():
    """A bias table of another window, interpolated by timm where the window is named."""
    from timm.layers import resize_rel_pos_bias_table
    from timm.models.swin_transformer import SwinTransformer
    from networks import randomise
    kinds = dict(img_size=16, patch_size=4, embed_dim=8, depths=(1, 1), num_heads=(2, 2), mlp_ratio=2, num_classes=5)
    trained = randomise(SwinTransformer(**kinds, window_size=2))
    larger = SwinTransformer(**{**kinds, "img_size": 32}, window_size=4).eval()
    state = {}
    for k, v in trained.state_dict().items():
        if k.endswith("relative_position_bias_table"):
            v = resize_rel_pos_bias_table(v, new_window_size=(4, 4), new_bias_shape=larger.state_dict()[k].shape)
        state[k] = v
    larger.load_state_dict(state, strict=False)
    x = normal(1, 3, 32, 32)
    with Case("files", "swin_other_window", "microsoft/Swin-Transformer #155",
              capture("swin(image=32,depths=1-1,attended-windows=4-4)@m.pth", "x.npy"), output(larger, x)) as case:
        case.array(x)
        case.torch(trained.state_dict())
