"""Image files of every extension that torchvision's ImageFolder takes, and arrays of every kind of number."""
import numpy as np, safetensors.torch, torch
from PIL import Image
from case import Case, capture
from networks import bitmap, normal, output, vit

RULE = ["--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5", "--crop-pct", "1"]
SUBJECT = "m=vit(heads=2)@../../vit.safetensors"


def from_file(name, thread, image, file, notes=(), says=None, **options):
    with Case("images", name, thread, capture(SUBJECT, file, "logits", *RULE), notes=notes, says=says) as case:
        image.save(case.path(file), **options)
        if not says:
            a = np.asarray(Image.open(case.path(file)).convert("RGB"), dtype=np.float32)
            x = torch.tensor(a.transpose(2, 0, 1)[None]) / 255
            values = output(vit(), (x - 0.5) / 0.5)
            case.record["shape"], case.record["values"] = list(values.shape), [float("%.7g" % v) for v in values.reshape(-1)]


def array(name, thread, x, file="x.npy", notes=(), expected=None):
    with Case("images", name, thread, capture(SUBJECT, file), output(vit(), x.float()) if expected is None else expected, notes=notes) as case:
        if file.endswith(".npy"):
            case.array(x, file)
        else:
            safetensors.torch.save_file({"images": x}, case.path(file))


def cases():
    colour, grey = Image.fromarray(bitmap(8, 8)), Image.fromarray(bitmap(8, 8)).convert("L")
    folder = "torchvision.datasets.ImageFolder (IMG_EXTENSIONS)"
    for file in ("bmp", "ppm", "tif", "tiff", "webp", "jpg", "jpeg", "png"):
        options = dict(lossless=True) if file == "webp" else dict(quality=90) if file in ("jpg", "jpeg") else {}
        from_file(f"colour_{file}", folder, colour, f"a.{file}", **options)
    from_file("grey_pgm", folder, grey, "a.pgm")
    from_file("grey_bmp", folder, grey, "a.bmp")
    from_file("grey_tiff", folder, grey, "a.tiff")
    from_file("lossy_webp", folder, colour, "a.webp", quality=70)
    from_file("deflated_tiff", folder, colour, "a.tif", compression="tiff_adobe_deflate")
    from_file("lzw_tiff", folder, colour, "a.tif", compression="tiff_lzw")
    from_file("packbits_tiff", folder, colour, "a.tif", compression="packbits")
    from_file("transparent_webp", folder, colour.convert("RGBA"), "a.webp", lossless=True)
    from_file("palette_bmp", folder, colour.quantize(16), "a.bmp")
    from_file("bilevel_tiff", folder, grey.convert("1"), "a.tiff")
    from_file("palette_transparency", "meta-pytorch/torchcodec #1731", colour.quantize(8), "a.png", transparency=2)
    deep = Image.fromarray((np.arange(64, dtype=np.uint16) * 7).reshape(8, 8))
    from_file("grey_16_bit", "pytorch/vision #2218, PR #4657", deep, "a.png", notes=["16-bit"])
    from_file("gif", folder, colour.quantize(16), "a.gif", says=["GIF"])
    x = normal(2, 3, 8, 8)
    array("float64", "own case", x.double())
    array("float16", "own case", x.half())
    array("float16_safetensors", "own case", x.half(), "x.safetensors")
    array("bfloat16_safetensors", "own case", x.bfloat16(), "x.safetensors")
    array("float64_safetensors", "own case", x.double(), "x.safetensors")
    unit = torch.rand((2, 3, 8, 8), generator=torch.Generator().manual_seed(4))
    array("unit_range", "own case", unit, notes=["0...1"])
    array("byte_range", "own case", (unit * 255).round(), notes=["0...255"])
    array("unit_range_half", "own case", unit.half(), notes=["0...1"])
    with Case("images", "left_out", "own case", ["variance", SUBJECT, "--data", "data", *RULE], notes=[".txt", ".gif"]) as case:
        for seed in range(4):
            Image.fromarray(bitmap(8, 8, seed)).save(case.path(f"data/{seed}.png"))
        case.text("notes\n", "data/notes.txt")
        colour.quantize(8).save(case.path("data/a.gif"))
