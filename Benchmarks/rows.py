"""The rows of the benchmark: what of ours is compared with what of whom, and what is hoped for."""

import os
from dataclasses import dataclass, field

# What glibc gives back to the kernel has to be faulted in again; these settings keep it. They make PyTorch
# up to a third faster, so every PyTorch row has them.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}
VIT_TINY, VIT_SMALL = "vit_tiny_patch16_224", "vit_small_patch16_224"
VIT_BASE = "vit_base_patch16_224"
CIFAR_VIT = "vit(image=32,patch=4,dim=192,depth=12,heads=3,classes=100)"
CIFAR_RESNET = "resnet(block=basic,depths=[2,2,2,2],image=32,classes=100)"


@dataclass
class Side:
    """One side of a pair: a command, and what it needs to be there."""
    label: str
    command: list
    modules: tuple = ()
    environment: dict = field(default_factory=dict)
    least: float = 0.0
    """How many times as long as ours this should take at least, and as an aim."""
    aim: float = 0.0
    variables: tuple = ()
    """What the environment must say."""


@dataclass
class Row:
    """Our job, and the same job by others. `steady`: both time themselves, warm, without start and import;
    `process`: from the start of the process to its end, files written."""
    name: str
    title: str
    kind: str
    ours: Side
    peers: list
    memory_least: float = 2.0
    work: float = 0.0
    """Images of one run, for a rate; 0 where that makes no sense."""
    share: float = 0.0
    """The part of the rate of bare multiply-adds that is the goal; 0 for none."""


def driver(job, **values):
    return Side("vitprobe", ["{driver}", job, "threads={threads}"]
                + [f"{name}={value}" for name, value in values.items()])


def torch(label, script, *words, least, aim, modules=("torch", "timm"), keep=True, variables=()):
    return Side(label, ["{python}", os.path.join("{here}", "peers", script), *map(str, words)],
                modules, KEEP_MEMORY if keep else {}, least, aim, variables)


def onnxruntime(model, batch, n):
    return torch("onnxruntime", "onnx_forward.py", model, batch, n, least=1.0, aim=1.3,
                 modules=("torch", "timm", "onnxruntime"))


def forward(name, model, batch, n, least, aim, formats, parallel="batches", runtime=True):
    """`runtime`: whether onnxruntime has its operations. `parallel`: a thread for each of several minibatches, or all threads for one after the other, as
    PyTorch does it: half of the memory, and no slower where a minibatch's features are large."""
    peers = [torch("timm" + (", channels last" if last else ""), "forward.py", model, batch, n,
                   *(["--channels-last"] if last else []), least=least, aim=aim)
             for last in formats] + [onnxruntime(model, batch, n)] * runtime
    return Row(name, f"forward, all block taps: {model}, batch {batch}", "steady",
               driver("forward", model=model, batch=batch, n=n, parallel=parallel), peers, work=n)


def bfloat16(name, model, batch, n, parallel="batches", formats=(False,)):
    """Half precision: against our own float32 passes and PyTorch's bfloat16."""
    def ours(**compute):
        return driver("forward", model=model, batch=batch, n=n, parallel=parallel, **compute)
    exact = ours()
    exact.label, exact.least, exact.aim = "vitprobe, float32", 1.7, 1.9
    peers = [torch(f"timm, bfloat16 ({way}{', channels last' if last else ''})", "forward.py", model, batch, n, "--bf16", way,
                   *(["--channels-last"] if last else []), least=1.2, aim=1.5)
             for way in ("autocast", "whole") for last in formats]
    return Row(name, f"forward in bf16, all block taps: {model}, batch {batch}", "steady", ours(compute="bf16"),
               [exact] + peers, memory_least=0.0, work=n)


EXPORTED = ("vit_base_patch16_224", "resnet50", "swin_tiny_patch4_window7_224", "convnext_tiny", "efficientnet_b0",
            "regnety_008", "maxvit_tiny_tf_224")


def exported():
    """Graphs exported from PyTorch: against the native family, all block taps, and against the model that was exported, hooked."""
    for model in EXPORTED[:3]:
        ours = driver("forward", model="{exported}/" + model + ".pt2", batch=8, n=16)
        native = driver("forward", model=model, batch=8, n=16)
        yield Row(f"graph-native-{model.split('_patch')[0].replace('_', '-')}",
                  f"exported graph against the native family: {model}, batch 8", "steady", ours,
                  [Side("native family", native.command, least=1 / 1.1, aim=1.0)], memory_least=0.0, work=16)
    for model in EXPORTED[3:]:
        yield Row(f"graph-{model.split('_patch')[0].replace('_', '-')}",
                  f"exported graph, all block taps: {model}, batch 8", "steady",
                  driver("forward", model="{exported}/" + model + ".pt2", batch=8, n=16, parallel="tiles"),
                  [torch("timm", "forward.py", model, 8, 16, least=1.2, aim=1.5), onnxruntime(model, 8, 16)], work=16)
    yield Row("graph-open", "an exported graph of 330 MB opened: ViT-B", "steady",
              driver("open", path="{exported}/vit_base_patch16_224.pt2"),
              [torch("torch.export.load", "exporting.py", "{exported}", "--load", "vit_base_patch16_224", least=5,
                     aim=20)], memory_least=1.0)


def hessian_packages(model, batch, top, least, aim):
    for package, module in (("pyhessian", "pyhessian"), ("eigenthings", "hessian_eigenthings"),
                            ("curvlinops", "curvlinops")):
        words = [package, model, batch] + (["--top", top] if top else [])
        yield torch(module, "hessian.py", *words, least=least, aim=aim,
                    modules=("torch", "timm", module))


def product(name, model, m, n, k):
    return Row(f"product-{name}", f"product {m}x{n}x{k} ({model})", "steady",
               driver("gemm", m=m, n=n, k=k),
               [torch("torch linear", "linear.py", m, n, k, least=1, aim=1)], memory_least=1.0)


def local_networks():
    """Local layers and their relatives, at most a third of the memory. The references are no packages: LOCAL_NETWORKS names a
    folder with checkouts of them."""
    volo = forward("forward-volo-d1", "volo_d1_224", 8, 16, 1.3, 1.6, (False,), runtime=False)
    volo.memory_least = 3.0
    yield volo
    for ours, theirs, least, aim in (
            ("pvt_small", "pvt_small", 1.3, 1.6),
            ("dwnet_tiny_patch4_window7_224", "dwnet_tiny", 2.0, 2.5),
            ("dynamic_dwnet_tiny_patch4_window7_224", "dynamic_dwnet_tiny", 2.0, 2.5),
            ("i_dynamic_dwnet_tiny_patch4_window7_224", "i_dynamic_dwnet_tiny", 2.0, 2.5),
            ("rednet50", "rednet50", 2.0, 2.5), ("sasa_resnet26", "sasa_resnet26", 2.0, 2.5),
            ("sasa(depths=1-2-4-1,form=published)", "sasa_resnet26_published", 2.0, 2.5)):
        yield Row(f"forward-{theirs.replace('_', '-')}", f"forward, all block taps: {theirs}, batch 8", "steady",
                  driver("forward", model=ours, batch=8, n=16),
                  [torch("published code", "local_networks.py", theirs, 8, 16, least=least, aim=aim,
                         variables=("LOCAL_NETWORKS",))], memory_least=3.0, work=16)


def rows():
    yield product("vit-base", "ViT-B, batch 8", 1576, 3072, 768)
    yield product("vit-tiny", "ViT-Ti, batch 32", 6304, 768, 192)

    yield forward("forward-vit-tiny", VIT_TINY, 32, 64, 2.0, 2.4, (False,))
    yield forward("forward-vit-small", VIT_SMALL, 16, 32, 2.0, 2.4, (False,))
    yield forward("forward-vit-base", VIT_BASE, 8, 16, 2.0, 2.4, (False,))
    yield forward("forward-resnet18", "resnet18", 32, 64, 1.1, 1.3, (False, True))
    yield forward("forward-resnet50", "resnet50", 16, 32, 1.1, 1.3, (False, True), "tiles")
    yield forward("forward-swin-tiny", "swin_tiny_patch4_window7_224", 8, 16, 1.5, 2.5, (False,))
    # The reference is no package: REFINER_VIT names a checkout of zhoudaquan/Refiner_ViT.
    yield Row("forward-refiner-s", "forward, all block taps: Refiner_ViT_S, batch 8", "steady",
              driver("forward", model="Refiner_ViT_S", batch=8, n=16),
              [torch("Refiner_ViT", "refiner.py", 8, 16, least=1.5, aim=2.5,
                     variables=("REFINER_VIT",))], work=16)

    yield bfloat16("bf16-vit-tiny", VIT_TINY, 32, 64)
    yield bfloat16("bf16-vit-base", VIT_BASE, 8, 16)
    yield bfloat16("bf16-swin-tiny", "swin_tiny_patch4_window7_224", 8, 16)
    yield bfloat16("bf16-resnet50", "resnet50", 16, 32, "tiles", (True,))

    yield from local_networks()
    yield from exported()

    def cka(package, module, *words, least, aim):
        return torch(package, "cka_matrix.py", package, VIT_TINY, 64, 256, *words, least=least, aim=aim,
                     modules=("torch", "timm", module))

    yield Row("cka-vit-tiny", "CKA of all blocks, 256 images in memory to matrix: ViT-Ti", "steady",
              driver("run", analyses="cka", model=VIT_TINY, batch=64, n=256, repeats=1),
              [cka("torch_cka", "torch_cka", least=12, aim=20),
               cka("pytorch_cka", "cka", least=2.0, aim=2.6),
               torch("stacked Grams", "cka_matrix.py", "stacked", VIT_TINY, 64, 256, least=2.0, aim=2.6)],
              memory_least=4.0, work=256, share=0.85)
    yield Row("grams", "Gram matrices and all pairs alone: 24 layers, 256 images, 37,632 features",
              "steady", driver("grams", layers=24, n=256, features=37632),
              [torch("stacked Grams", "grams.py", 24, 256, 37632, least=3, aim=5)])

    for model, batch, n in ((VIT_TINY, 32, 64), ("resnet50", 16, 32)):
        yield Row(f"fourier-{model.split('_patch')[0].replace('_', '-')}",
                  f"Fourier analysis alone: {model}, {n} images", "steady",
                  driver("analysis", analyses="fourier", model=model, batch=batch, n=n),
                  [torch("notebook recipe", "fourier.py", model, batch, n, least=30, aim=65)],
                  work=n)
    yield Row("run-vit-small", "CKA, Fourier and variance in one pass against the pass alone: ViT-S",
              "steady", driver("run", analyses="cka,fourier,variance", model=VIT_SMALL, batch=16, n=64),
              [Side("vitprobe forward alone", driver(
                  "forward", model=VIT_SMALL, batch=16, n=64).command, least=0.8, aim=0.95)],
              memory_least=0.0, work=64)

    for name, model, batch, ours, goal in (("vit-tiny", "vit_tiny", 16, CIFAR_VIT, 0.82),
                                           ("vit-tiny-128", "vit_tiny", 128, CIFAR_VIT, 0.8),
                                           ("resnet18", "resnet18", 64, CIFAR_RESNET, 0.0)):
        yield Row(f"hvp-{name}", f"one Hessian-vector product: {model}, 32x32, batch {batch}",
                  "steady", driver("hvp", model=ours, batch=batch),
                  list(hessian_packages(model, batch, 0, 2.0, 3.5)), share=goal)
    yield Row("eigenvalues-vit-tiny",
              "top 5 eigenvalues to residual 1e-3: ViT-Ti 32x32, batch 16", "steady",
              driver("eigenvalues", model=CIFAR_VIT, batch=16, top=5),
              list(hessian_packages("vit_tiny", 16, 5, 4.0, 10.0)))

    yield Row("read-pth", "a torch.save file of 350 MB, every byte added up", "steady",
              driver("read", path="{weights}.pth"),
              [torch("torch.load", "reading.py", "{weights}.pth", least=1, aim=1.5,
                     modules=("torch", "timm", "safetensors")),
               torch("torch.load(mmap=True)", "reading.py", "{weights}.pth", "--mmap", least=0,
                     aim=1, modules=("torch", "timm", "safetensors"))], memory_least=1.0)
    yield Row("read-safetensors", "a safetensors file of 350 MB, every byte added up", "steady",
              driver("read", path="{weights}.safetensors"),
              [torch("safetensors", "reading.py", "{weights}.safetensors", least=1, aim=1.5,
                     modules=("torch", "timm", "safetensors"))], memory_least=1.0)

    yield Row("start", "start to first result: cka on a bundled ViT, 64 images", "process",
              Side("vitprobe", ["{vitprobe}", "cka", "demo:vit", "--limit", "64", "--threads",
                                "{threads}", "-q", "--force", "-o", "{scratch}/start"]),
              [Side("import torch, timm", ["{python}", "-W", "ignore", "-c", "import torch, timm"],
                    ("torch", "timm"), least=10, aim=50)])
    command = ["{vitprobe}", "cka", VIT_TINY + "@random", "--data", "{images}", "--batch-size", "64",
               "--threads", "{threads}", "-q", "--force", "-o", "{scratch}/cka"]
    files = ("--images", "{images}", "--out", "{scratch}/cka.csv")
    yield Row("cka-files", "the same, process start to files: 256 images of 224x224", "process",
              Side("vitprobe", command),
              [cka("torch_cka", "torch_cka", *files, least=5, aim=20),
               cka("pytorch_cka", "cka", *files, least=1.5, aim=2.6),
               torch("stacked Grams", "cka_matrix.py", "stacked", VIT_TINY, 64, 256, *files,
                     least=1.5, aim=2.6)], memory_least=4.0, work=256)

    # Decoding and resizing behind the passes: at most 5 % above the same number of arrays.
    def of(data, out):
        return [data if word == "{images}" else out if word == "{scratch}/cka" else word for word in command]
    yield Row("cka-jpeg", "the same from 256 JPEG files of 500x375", "process",
              Side("vitprobe", of("{photographs}", "{scratch}/cka-jpeg"), modules=("numpy", "PIL")),
              [Side("vitprobe, arrays", of("{images}", "{scratch}/cka-arrays"), least=0.95, aim=1.0)], memory_least=0.0,
              work=256)

    # Bundled images, which have labels; a plane of few places and few branches have the rates of many.
    plane = ["{vitprobe}", "landscape", f"{CIFAR_RESNET}@random", "--data", "{bundled}", "--limit", "256",
             "--batch-size", "64", "--crop-pct", "1", "--grid", "5", "--threads", "{threads}", "-q", "--force",
             "-o", "{scratch}/landscape"]
    yield Row("landscape-resnet18", "loss over a plane of 5x5 places: ResNet-18 32x32, 256 images, process "
              "start to files", "process", Side("vitprobe", plane),
              [torch("weights moved in place", "landscape.py", 5, 256, 64, least=2, aim=3)], work=25 * 256)
    lesion = ["{vitprobe}", "lesion", VIT_SMALL + "@random", "--data", "{bundled}", "--limit", "32",
              "--batch-size", "16", "--threads", "{threads}", "-q", "--force", "-o", "{scratch}/lesion"]
    yield Row("lesion-vit-small", "each of 24 branches left out in turn: ViT-S, 32 images, process start to "
              "files", "process", Side("vitprobe", lesion),
              [torch("a pass a branch", "lesion.py", VIT_SMALL, 32, 16, least=1.8, aim=3)], work=25 * 32)
