"""Makes the images of this folder and what Pillow reads from them.

Run here: python make_fixtures.py   (needs Pillow, numpy, a C compiler and libjpeg-turbo)

codecs/NAME.png|jpg      an encoded image
codecs/NAME.rgb          Image.open(...).convert("RGB").tobytes()
codecs/cases.txt         NAME.ext width height
resize/source.rgb, .grey the image that is resized, 61 x 47
resize/MODE-FILTER-WxH.raw   Image.resize((W, H), FILTER).tobytes()
transforms/NAME.f32      torchvision's evaluation transforms of resize/source.rgb, [H, W, 3] Float32
"""
import io, os, shutil, struct, subprocess, zlib
import numpy as np
import PIL, torch, torchvision
from PIL import Image, features
import torchvision.transforms as T
from torchvision.transforms import InterpolationMode

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(7)
W, H = 37, 29


def picture(w, h):
    """Gradients, hard edges and noise, with saturated parts (bicubic overshoots there)."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([255 * x / w, 255 * y / h, 127 + 120 * np.sin(x / 3 + y / 5)], -1)
    a[h // 4:h // 2, w // 4:w // 2] = (255, 0, 255)
    a[h // 2:, : w // 5] = 0
    a += rng.normal(0, 12, a.shape)
    a[: h // 6] = rng.integers(0, 2, (h // 6, w, 3)) * 255
    return np.clip(a, 0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed_rows(samples, depth):
    """Rows of integer samples [h, n] as PNG bytes, each after its filter byte."""
    out = b""
    for i, row in enumerate(samples):
        if depth == 16:
            data = row.astype(">u2").tobytes()
        elif depth == 8:
            data = row.astype(np.uint8).tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in row)
            bits += "0" * (-len(bits) % 8)
            data = bytes(int(bits[j:j + 8], 2) for j in range(0, len(bits), 8))
        out += b"\0" + data
    return out


def png(samples, depth, color, extra=b"", interlaced=False, tail=b""):
    h, w = samples.shape[:2]
    s = samples.reshape(h, w, -1)
    if interlaced:
        raw = b""
        for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
                               (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
            part = s[y0::dy, x0::dx]
            if part.size:
                raw += packed_rows(part.reshape(part.shape[0], -1), depth)
    else:
        raw = packed_rows(s.reshape(h, -1), depth)
    head = struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra
            + chunk(b"IDAT", zlib.compress(raw, 9)) + tail + chunk(b"IEND", b""))


def codecs():
    out = os.path.join(here, "codecs")
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    files = {}
    rgb = picture(W, H)
    alpha = rng.integers(0, 256, (H, W, 1)).astype(np.uint8)
    rgba = np.concatenate([rgb, alpha], -1)
    grey = rgb[..., 1:2]
    deep = lambda a: (a.astype(np.uint16) << 8) | rng.integers(0, 256, a.shape).astype(np.uint16)
    grey16 = rng.integers(0, 600, (H, W, 1))
    plte = lambda n: chunk(b"PLTE", rng.integers(0, 256, 3 * n).astype(np.uint8).tobytes())

    for depth in (1, 2, 4, 8):
        files[f"grey{depth}.png"] = png(grey >> (8 - depth), depth, 0)
        files[f"palette{depth}.png"] = png(grey >> (8 - depth), depth, 3, plte(1 << depth))
    files["grey16.png"] = png(grey16, 16, 0)
    files["grey16-interlaced.png"] = png(grey16, 16, 0, interlaced=True)
    files["grey1-interlaced.png"] = png(grey >> 7, 1, 0, interlaced=True)
    files["grey-trns.png"] = png(grey, 8, 0, chunk(b"tRNS", b"\0\x40"))
    files["palette-interlaced.png"] = png(grey >> 4, 4, 3, plte(16), interlaced=True)
    files["palette-trns.png"] = png(grey >> 4, 4, 3, plte(16) + chunk(b"tRNS", bytes(range(9))))
    files["palette-short.png"] = png(grey >> 4, 4, 3, plte(11))
    files["rgb8.png"] = png(rgb, 8, 2)
    files["rgb8-interlaced.png"] = png(rgb, 8, 2, interlaced=True)
    files["rgb8-trns.png"] = png(rgb, 8, 2, chunk(b"tRNS", b"\0\xff\0\0\0\xff"))
    files["rgb16.png"] = png(deep(rgb), 16, 2)
    files["greyalpha8.png"] = png(np.concatenate([grey, alpha], -1), 8, 4)
    files["greyalpha16.png"] = png(deep(np.concatenate([grey, alpha], -1)), 16, 4)
    files["rgba8.png"] = png(rgba, 8, 6)
    files["rgba16-interlaced.png"] = png(deep(rgba), 16, 6, interlaced=True)
    files["one-pixel.png"] = png(rgb[:1, :1], 8, 2)
    files["interlaced-narrow.png"] = png(rgb[:, :3], 8, 2, interlaced=True)
    profile = b"name\0\0" + zlib.compress(bytes(1 << 19), 9)
    files["gamma-profile-text.png"] = png(
        rgb, 8, 2, chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"iCCP", profile)
        + chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(1 << 19), 9)))
    frame = lambda n, w, h: struct.pack(">IIIIIHHBB", n, w, h, 0, 0, 1, 10, 0, 0)
    other = zlib.compress(packed_rows(rgb[::-1].reshape(H, -1), 8))
    files["animated.png"] = png(
        rgb, 8, 2, chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", frame(0, W, H)),
        tail=chunk(b"fcTL", frame(1, W, H)) + chunk(b"fdAT", struct.pack(">I", 2) + other))
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")  # all row filters
    files["filters.png"] = buffer.getvalue()

    def jpeg(name, array, mode=None, **options):
        b = io.BytesIO()
        image = Image.fromarray(array, mode) if mode is None else Image.fromarray(array).convert(mode)
        image.save(b, "JPEG", **options)
        files[name + ".jpg"] = b.getvalue()

    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        jpeg(sampling.replace(":", ""), rgb, subsampling=sampling, quality=90)
    jpeg("420-low", rgb, quality=20)
    jpeg("grey", rgb, "L")
    jpeg("cmyk", rgb, "CMYK")
    jpeg("rgb", rgb, keep_rgb=True)
    jpeg("progressive", rgb, progressive=True, quality=80)
    jpeg("restarts", rgb, restart_marker_blocks=2)
    jpeg("one-pixel", rgb[:1, :1])
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg("exif-rotated", rgb, exif=exif, icc_profile=bytes(500))
    files["trailing.jpg"] = files["420.jpg"] + b"after the end" * 4
    with open(os.path.join(out, "source.rgb"), "wb") as f:
        f.write(rgb.tobytes())
    program = os.path.join(out, "variants")
    subprocess.check_call(["cc", os.path.join(here, "make_jpeg_variants.c"), "-ljpeg", "-o", program])
    subprocess.check_call([program, os.path.join(out, "source.rgb"), str(W), str(H), out])
    os.remove(program)
    os.remove(os.path.join(out, "source.rgb"))
    for name in os.listdir(out):
        files[name] = open(os.path.join(out, name), "rb").read()

    lines = []
    for name in sorted(files):
        with open(os.path.join(out, name), "wb") as f:
            f.write(files[name])
        if name == "arithmetic.jpg":
            continue  # refused
        image = Image.open(io.BytesIO(files[name])).convert("RGB")
        lines.append(f"{name} {image.width} {image.height}")
        with open(os.path.join(out, name + ".rgb"), "wb") as f:
            f.write(image.tobytes())
    with open(os.path.join(out, "cases.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")


FILTERS = {"nearest": Image.NEAREST, "box": Image.BOX, "bilinear": Image.BILINEAR,
           "hamming": Image.HAMMING, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}


def resizes():
    out = os.path.join(here, "resize")
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    source = Image.fromarray(picture(61, 47))
    open(os.path.join(out, "source.rgb"), "wb").write(source.tobytes())
    open(os.path.join(out, "source.grey"), "wb").write(source.convert("L").tobytes())
    sizes = [(24, 24), (61, 20), (17, 47), (90, 70), (61, 60), (7, 53), (1, 1), (30, 23),
             (55, 20), (70, 20)]  # the last two: height first
    for filter, code in FILTERS.items():
        for w, h in sizes if filter in ("bilinear", "bicubic") else sizes[:4] + sizes[6:7]:
            name = f"rgb-{filter}-{w}x{h}.raw"
            open(os.path.join(out, name), "wb").write(source.resize((w, h), code).tobytes())
        name = f"grey-{filter}-40x21.raw"
        image = source.convert("L").resize((40, 21), code)
        open(os.path.join(out, name), "wb").write(image.tobytes())


def transforms():
    out = os.path.join(here, "transforms")
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    data = open(os.path.join(here, "resize", "source.rgb"), "rb").read()
    source = Image.frombytes("RGB", (61, 47), data)
    normalise = [T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    steps = {
        "edge35-crop32-bicubic": [T.Resize(35, InterpolationMode.BICUBIC), T.CenterCrop(32)],
        "edge27-crop24-bilinear": [T.Resize(27, InterpolationMode.BILINEAR), T.CenterCrop(24)],
        "edge21-crop26-bicubic": [T.Resize(21, InterpolationMode.BICUBIC), T.CenterCrop(26)],
        "edge18-crop31-bicubic": [T.Resize(18, InterpolationMode.BICUBIC), T.CenterCrop(31)],
        "exact28x20-bilinear": [T.Resize((28, 20), InterpolationMode.BILINEAR)],
        "none-crop24": [T.CenterCrop(24)],
        "none": [],
    }
    for name, first in steps.items():
        tensor = T.Compose(first + normalise)(source)
        array = tensor.permute(1, 2, 0).contiguous().numpy().astype("<f4")
        open(os.path.join(out, name + ".f32"), "wb").write(array.tobytes())
    grey = T.Compose([T.Resize(35, InterpolationMode.BICUBIC), T.CenterCrop(32), T.ToTensor(),
                      T.Normalize((0.2860,), (0.3530,))])(source.convert("L"))
    open(os.path.join(out, "grey.f32"), "wb").write(grey.permute(1, 2, 0).contiguous().numpy().tobytes())


codecs()
resizes()
transforms()
with open(os.path.join(here, "versions.txt"), "w") as f:
    f.write(f"Pillow {PIL.__version__} (libjpeg-turbo {features.version('libjpeg_turbo')}), "
            f"numpy {np.__version__}, torch {torch.__version__}, "
            f"torchvision {torchvision.__version__}\n")
