"""Makes the images of formats/ and what Pillow reads from them: PBM, PGM, PPM, BMP, TIFF and WebP.

Run here: python make_formats.py   (Pillow 13.0.0, numpy 2.4.6)

formats/NAME        an encoded image
formats/NAME.rgb    Image.open(...).convert("RGB").tobytes()
formats/cases.txt   NAME width height
formats/refused/NAME   legal, and refused by name
"""
import io, os, shutil, struct
import numpy as np
from PIL import Image, ImageOps

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(11)
W, H = 19, 13
y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([255 * x / W, 255 * y / H, 127 + 120 * np.sin(x / 3 + y / 5)], -1)
rgb[3:6, 4:9] = (255, 0, 255)
rgb = np.clip(rgb + rng.normal(0, 9, rgb.shape), 0, 255).astype(np.uint8)
grey = rgb[..., 1]
alpha = rng.integers(0, 256, (H, W, 1)).astype(np.uint8)
alpha[2:5, 2:5] = 0
rgba = np.concatenate([rgb, alpha], -1)
files, refused = {}, {}


def packed(rows, bits, unit=1):
    """Rows of indices, `bits` a piece, the first in the high bits; rows padded to `unit` bytes."""
    out = b""
    for row in rows:
        text = "".join(format(int(v), f"0{bits}b") for v in np.asarray(row).ravel())
        text += "0" * (-len(text) % (8 * unit))
        out += bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8))
    return out


def bmp(name, bits, pixels, palette=b"", header=40, compression=0, masks=b"", top_down=False, colors=0, store=files):
    if header == 12:
        info = struct.pack("<IHHHH", 12, W, H, 1, bits)
    else:
        info = struct.pack("<IIiHHIIIIII", header, W, -H if top_down else H, 1, bits, compression, len(pixels), 0, 0,
                           colors, 0)
        if header > 40:
            info += masks.ljust(header - 40, b"\0")
            masks = b""
    start = 14 + len(info) + len(masks) + len(palette)
    store[name + ".bmp"] = (b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + masks + palette
                            + pixels)


def rows(array, unit=4):
    """Bottom-up rows of bytes."""
    return b"".join(r.tobytes().ljust((len(r.tobytes()) + unit - 1) // unit * unit, b"\0") for r in array[::-1])


colors = lambda n: b"".join(bytes(c) + b"\0" for c in rng.integers(0, 256, (n, 3)).astype(np.uint8))
for bits in (1, 4, 8):
    bmp(f"palette{bits}", bits, packed((grey >> (8 - bits))[::-1], bits, 4), colors(1 << bits))
bmp("palette-short", 8, rows(grey >> 3), colors(20), colors=20)
bmp("black-white", 1, packed((grey >> 7)[::-1], 1, 4), bytes([0, 0, 0, 0, 255, 255, 255, 0]))
bmp("ramp", 8, rows(grey), b"".join(bytes([i, i, i, 0]) for i in range(256)))
bmp("ramp-short", 8, rows(grey), b"".join(bytes([i, i, i, 0]) for i in range(90)), colors=90)
bmp("rgb24", 24, rows(rgb[..., ::-1]))
bmp("top-down", 24, rows(rgb[::-1, :, ::-1]), top_down=True)
bmp("core", 24, rows(rgb[..., ::-1]), header=12)
bmp("core-palette", 8, rows(grey >> 4), b"".join(bytes(c) for c in rng.integers(0, 256, (256, 3)).astype(np.uint8)),
    header=12)
bmp("rgb32", 32, rows(rgba[..., [2, 1, 0, 3]]))
five = (rgb.astype(int) >> 3)
bmp("rgb555", 16, rows((five[..., 0] << 10 | five[..., 1] << 5 | five[..., 2]).astype("<u2")))
bmp("rgb565", 16, rows((five[..., 0] << 11 | (rgb[..., 1].astype(int) >> 2) << 5 | five[..., 2]).astype("<u2")),
    compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))
for name, mask, order in [("bgrx", (0xFF0000, 0xFF00, 0xFF, 0), [2, 1, 0, 3]),
                          ("xbgr", (0xFF000000, 0xFF0000, 0xFF00, 0), [3, 2, 1, 0]),
                          ("rgba", (0xFF, 0xFF00, 0xFF0000, 0xFF000000), [0, 1, 2, 3]),
                          ("bgra", (0xFF0000, 0xFF00, 0xFF, 0xFF000000), [2, 1, 0, 3])]:
    bmp("fields-" + name, 32, rows(rgba[..., order]), header=108, compression=3, masks=struct.pack("<IIII", *mask))
runs = b""
for row in (grey >> 4)[::-1]:
    at = 0
    while at < W:
        n = 1
        while at + n < W and n < 255 and row[at + n] == row[at]:
            n += 1
        if n == 1 and at + 3 <= W:  # three pixels as they are
            runs += bytes([0, 3]) + row[at:at + 3].tobytes() + b"\0"
            at += 3
        else:
            runs += bytes([n, row[at]])
            at += n
    runs += b"\0\0"
bmp("rle8", 8, runs + b"\0\1", colors(16), compression=1, colors=16)
bmp("rle8-delta", 8, (bytes([5, 3, 0, 2, 4, 2]) + bytes([10, 7, 0, 0])) + bytes([W, 9, 0, 0]) * (H - 3) + b"\0\1",
    colors(16), compression=1, colors=16)
bmp("rle4", 4, bytes([W, 0x5A, 0, 0]) * 3 + (bytes([0, 7, 0x12, 0x34, 0x56, 0x70, W - 7, 0x9B, 0, 0])) * (H - 3)
    + b"\0\1", colors(16), compression=2)
bmp("fields-odd", 32, rows(rgba), compression=3, masks=struct.pack("<III", 0xFF00, 0xFF, 0xFF0000), store=refused)
bmp("jpeg-inside", 24, rows(rgb), compression=4, store=refused)
bmp("bits2", 2, packed((grey >> 6)[::-1], 2, 4), colors(4), store=refused)

head = lambda kind, top=None: f"P{kind}\n# a comment\n{W} {H}\n".encode() + (b"" if top is None else f"{top}\n".encode())
text = lambda a: " ".join(str(v) for v in np.asarray(a).ravel()).encode() + b"\n"
bits = grey >> 7
files["plain.pbm"] = head(1) + b"\n".join("".join(map(str, r)).encode() for r in bits) + b"\n"
files["binary.pbm"] = head(4) + packed(bits, 1)
files["plain.pgm"] = head(2, 255) + text(grey).replace(b" ", b"\n# more\n", 1)
files["binary.pgm"] = head(5, 255) + grey.tobytes()
files["largest100.pgm"] = head(5, 100) + (grey // 3).tobytes()
files["largest1000.pgm"] = head(5, 1000) + (grey.astype(">u2") * 2).tobytes()
files["plain1000.pgm"] = head(2, 1000) + text(grey.astype(int) * 3)
files["deep.pgm"] = head(5, 65535) + (grey.astype(">u2") * 2).tobytes()
files["plain.ppm"] = head(3, 255) + text(rgb)
files["binary.ppm"] = head(6, 255) + rgb.tobytes()
files["largest31.ppm"] = head(6, 31) + (rgb >> 3).tobytes()
files["deep.ppm"] = head(6, 65535) + (rgb.astype(">u2") * 257).tobytes()
refused["floats.pfm"] = f"PF\n{W} {H}\n-1.0\n".encode() + rgb.astype("<f4").tobytes()


def tiff(name, planes, bits, photometric, extra=(), order="<", tags=(), tile=None, apart=False, format=None, store=files):
    """An uncompressed TIFF: `planes` [H, W, samples], whole samples or packed indices."""
    planes = planes.reshape(planes.shape[0], planes.shape[1], -1)
    h, w, samples = planes.shape
    kind = {16: order + "u2", 32: order + "f4" if format == 3 else order + "u4"}.get(bits, "u1")
    encode = lambda part: packed(part, bits) if bits < 8 else part.astype(kind).tobytes()
    chunks = []
    for layer in ([planes[..., s:s + 1] for s in range(samples)] if apart else [planes]):
        if tile:
            for top in range(0, h, tile):
                for left in range(0, w, tile):
                    block = np.zeros((tile, tile, layer.shape[2]), layer.dtype)
                    part = layer[top:top + tile, left:left + tile]
                    block[:part.shape[0], :part.shape[1]] = part
                    chunks.append(encode(block))
        else:
            chunks += [encode(layer[top:top + 5]) for top in range(0, h, 5)]
    fields = [(256, 3, [w]), (257, 3, [h]), (258, 3, [bits] * samples), (259, 3, [1]), (262, 3, [photometric]),
              (277, 3, [samples]), (284, 3, [2 if apart else 1]), *tags]
    if extra:
        fields.append((338, 3, list(extra)))
    if format:
        fields.append((339, 3, [format] * samples))
    sizes = [len(c) for c in chunks]
    if tile:
        fields += [(322, 3, [tile]), (323, 3, [tile]), (324, 4, [0] * len(chunks)), (325, 4, sizes)]
    else:
        fields += [(278, 3, [5]), (273, 4, [0] * len(chunks)), (279, 4, sizes)]
    fields.sort()
    at = 8 + 2 + 12 * len(fields) + 4
    width = {3: "H", 4: "I"}
    after = {}
    for tag, type, values in fields:
        length = struct.calcsize(order + width[type] * len(values))
        if length > 4:
            after[tag] = at
            at += length
    starts = [at + sum(sizes[:i]) for i in range(len(sizes))]
    directory, behind = b"", b""
    for tag, type, values in fields:
        if tag in (273, 324):
            values = starts
        data = struct.pack(order + width[type] * len(values), *values)
        directory += struct.pack(order + "HHI", tag, type, len(values))
        if tag in after:
            directory += struct.pack(order + "I", after[tag])
            behind += data
        else:
            directory += data.ljust(4, b"\0")
    magic = b"II" if order == "<" else b"MM"
    store[name + ".tif"] = (magic + struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", len(fields)) + directory
                            + bytes(4) + behind + b"".join(chunks))


for bits in (1, 2, 4, 8):
    tiff(f"grey{bits}", grey >> (8 - bits), bits, 1)
    tiff(f"white{bits}", grey >> (8 - bits), bits, 0, order=">")
    table = list(rng.integers(0, 65536, 3 << bits))
    tiff(f"palette{bits}", grey >> (8 - bits), bits, 3, tags=[(320, 3, [int(v) for v in table])])
grey16 = rng.integers(0, 600, (H, W))
tiff("grey16", grey16, 16, 1)
tiff("grey16-big", grey16, 16, 1, order=">")
deep = rgb.astype(int) << 8 | rng.integers(0, 256, rgb.shape)
deepa = rgba.astype(int) << 8 | rng.integers(0, 256, rgba.shape)
tiff("rgb", rgb, 8, 2)
tiff("rgb-apart", rgb, 8, 2, apart=True)
tiff("rgb-tiles", rgb, 8, 2, tile=16)
tiff("rgb-tiles-apart", rgb, 8, 2, tile=16, apart=True, order=">")
tiff("rgb16", deep, 16, 2)
tiff("rgb16-big", deep, 16, 2, order=">")
tiff("rgba", rgba, 8, 2, extra=[2])
tiff("rgba-unsaid", rgba, 8, 2)
tiff("rgbx", rgba, 8, 2, extra=[0])
tiff("premultiplied", np.concatenate([(rgb.astype(int) * alpha // 255).astype(np.uint8), alpha], -1), 8, 2, extra=[1])
tiff("premultiplied16", np.concatenate([deep * alpha.astype(int) // 255, alpha.astype(int) << 8], -1), 16, 2, extra=[1])
tiff("rgba16", deepa, 16, 2, extra=[2], order=">")
tiff("grey-alpha", np.concatenate([grey[..., None], alpha], -1), 8, 1, extra=[2])
tiff("cmyk", rgba, 8, 5)
tiff("cmyk16", deepa, 16, 5)
for turn in range(2, 9):
    tiff(f"orientation{turn}", rgb, 8, 2, tags=[(274, 3, [turn])])
tiff("floats", rgb.astype("f4")[..., 0], 32, 1, format=3, store=refused)
tiff("lab", rgb, 8, 8, store=refused)
tiff("grey32", grey16, 32, 1, store=refused)


def saved(name, image, kind, store=files, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    store[name] = out.getvalue()


picture = Image.fromarray(rgb)
for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma", "jpeg"):
    saved(f"rgb-{compression}.tif", picture, "TIFF", compression=compression)
saved("rgb-predicted.tif", picture, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
saved("fax4.tif", picture.convert("1"), "TIFF", compression="group4")
saved("fax3.tif", picture.convert("1"), "TIFF", compression="group3")
saved("grey-jpeg.tif", Image.fromarray(grey), "TIFF", compression="jpeg")
saved("ycbcr-jpeg.tif", picture.convert("YCbCr"), "TIFF", compression="jpeg")
saved("ycbcr-lzw.tif", picture.convert("YCbCr"), "TIFF", compression="tiff_lzw")
saved("big.tiff", picture, "TIFF", big_tiff=True)
saved("pages.tif", picture, "TIFF", save_all=True, append_images=[ImageOps.invert(picture)])

for name, image, options in [
        ("lossy", picture, {}), ("lossy-low", picture, {"quality": 10}), ("lossless", picture, {"lossless": True}),
        ("lossy-alpha", Image.fromarray(rgba), {}), ("grey", Image.fromarray(grey), {}),
        ("lossless-alpha", Image.fromarray(rgba), {"lossless": True}),
        ("exact-alpha", Image.fromarray(rgba), {"lossless": True, "exact": True}),
        ("animated", picture, {"save_all": True, "append_images": [ImageOps.invert(picture)], "duration": 90})]:
    saved(name + ".webp", image, "WEBP", **options)

out = os.path.join(here, "formats")
shutil.rmtree(out, ignore_errors=True)
os.makedirs(os.path.join(out, "refused"))
lines = []
for name, data in sorted(files.items()):
    open(os.path.join(out, name), "wb").write(data)
    try:
        image = Image.open(io.BytesIO(data)).convert("RGB")
    except Exception as error:
        print(name, "is not read by Pillow:", error)
        continue
    lines.append(f"{name} {image.width} {image.height}")
    open(os.path.join(out, name + ".rgb"), "wb").write(image.tobytes())
for name, data in refused.items():
    open(os.path.join(out, "refused", name), "wb").write(data)
open(os.path.join(out, "cases.txt"), "w").write("\n".join(lines) + "\n")
print(len(lines), "images")
