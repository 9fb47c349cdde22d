"""Small networks with random weights, and images for them."""
import numpy as np, torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn


def randomise(model, seed=1, gain=2.5):
    """Every parameter and running statistic drawn so that each of them moves the output."""
    g = torch.Generator().manual_seed(seed)
    draw = lambda t: torch.randn(t.shape, generator=g)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim >= 2 and min(p.shape[:2]) > 1 and "pos" not in name:
                p.copy_(draw(p) * (1.5 if p.ndim == 4 else gain) / p[0].numel() ** 0.5)
            elif p.ndim >= 2:
                p.copy_(draw(p) * 0.5)
            elif "bias" in name.split(".")[-1]:
                p.copy_(draw(p) * 0.2)
            else:
                p.copy_(1 + 0.3 * draw(p))
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(draw(b) * 0.2)
            elif name.endswith("running_var"):
                b.copy_(0.5 + torch.rand(b.shape, generator=g))
    return model.eval()


def vit(seed=1, **options):
    """timm's ViT of 8 x 8 pixels; bare files need `heads=2`."""
    kinds = dict(img_size=8, patch_size=4, embed_dim=8, depth=1, num_heads=2, mlp_ratio=2, num_classes=5)
    return randomise(VisionTransformer(**{**kinds, **options}), seed)


def normal(*shape, seed=7):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def bitmap(height, width, seed=3, channels=3):
    """A picture with large areas and noise, so that every step of a preprocessing shows."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x * (c + 2) / width * 3 + y * (3 - c) / height * 4) for c in range(channels)]
    picture = 127 + 90 * np.stack(waves, -1) + random.normal(0, 20, (height, width, channels))
    return np.clip(picture, 0, 255).astype(np.uint8)


def output(model, x, pick=lambda o: o):
    with torch.no_grad():
        return pick(model(x)).numpy()


class Block(nn.Module):
    """torchvision's BasicBlock, with the names of its parts and another shortcut where asked."""

    def __init__(self, i, o, stride, shortcut="conv", act=nn.ReLU, dilation=1, first=None, part="downsample"):
        super().__init__()
        first = first or dilation
        self.conv1 = nn.Conv2d(i, o, 3, stride, first, first, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.act, self.part, self.stride, self.widened = act(), part, stride, o - i
        self.pads = shortcut == "pad" and (stride != 1 or i != o)
        if shortcut == "conv" and (stride != 1 or i != o):
            setattr(self, part, nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o)))
        elif part == "shortcut":
            self.shortcut = nn.Sequential()

    def forward(self, x):
        y = self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))
        if self.pads:
            half = self.widened // 2
            x = nn.functional.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, half, self.widened - half))
        elif hasattr(self, self.part):
            x = getattr(self, self.part)(x)
        return self.act(x + y)


class Bottleneck(nn.Module):
    """torchvision's Bottleneck, with groups, and the stride in its first or its second convolution."""

    def __init__(self, i, width, o, stride, groups=1, first=False):
        super().__init__()
        self.conv1 = nn.Conv2d(i, width, 1, stride if first else 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1 if first else stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, o, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(o)
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(y)))))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(nn.Module):
    """A ResNet of four stages (three for CIFAR), a block each, under torchvision's names."""

    def __init__(self, widths=(4, 4, 4, 4), classes=5, stem=7, pool=nn.MaxPool2d(3, 2, 1), act=nn.ReLU,
                 make=None, dilated=(), head="fc", stem_stride=2):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], stem, stem_stride if stem == 7 else 1, stem // 2, bias=False)
        self.bn1, self.act, self.pool, self.head = nn.BatchNorm2d(widths[0]), act(), pool, head
        make = make or (lambda i, o, stride, dilation: Block(i, o, stride, act=act, dilation=dilation[1], first=dilation[0]))
        self.stages, before, dilation = len(widths), widths[0], 1
        for stage, width in enumerate(widths):
            stride = 1 if stage == 0 else 2
            first = dilation
            if stage in dilated:
                dilation, stride = dilation * stride, 1
            block = make(before, width, stride, (first if stage in dilated else 1, dilation))
            setattr(self, f"layer{stage + 1}", nn.Sequential(block))
            with torch.no_grad():
                before = block.eval()(torch.zeros(1, before, 4, 4)).shape[1]
        if head:
            setattr(self, head, nn.Linear(before, classes))

    def forward(self, x):
        x = self.act(self.bn1(self.conv1(x)))
        if self.pool is not None:
            x = self.pool(x)
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        x = x.mean((2, 3))
        return getattr(self, self.head)(x) if self.head else x


def resnet(seed=1, **options):
    return randomise(ResNet(**options), seed)
