"""Compact PyTorch definitions of the four bundled networks.

Each uses the parameter names and the arithmetic of the public code its checkpoint is compatible with:
  ViT       timm `VisionTransformer` (pre-norm, class token, LayerNorm eps 1e-6)
  ResNet    xxxnell/how-do-vits-work `models/resnet.py`, stem=False, basic blocks, free widths
  AlterNet  xxxnell/how-do-vits-work `models/alternet.py`, stem=False, basic blocks, free widths and heads
  Refiner   zhoudaquan/Refiner_ViT `models/refined_transformer.py`, return_dense=False
`check.py` compares their outputs with those packages on the same weights.
"""

import torch
from torch import nn
from torch.nn import functional as F


def init_linear(module):
    for m in module.modules():
        if isinstance(m, nn.Linear):
            # At these widths the usual deviation of 0.02 starts far too small.
            nn.init.trunc_normal_(m.weight, std=m.in_features**-0.5 if m.out_features != 10 else 0.01)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            if m.bias is not None:
                nn.init.zeros_(m.bias)


# ---------------------------------------------------------------- ViT


class ViTAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(b, n, c))


class MLP(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class ViTBlock(nn.Module):
    def __init__(self, dim, heads, ratio):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = ViTAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, ratio * dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, patch, dim):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, x):
        p = self.proj.kernel_size[0]
        b, c, h, w = x.shape
        # The same product as the strided convolution, as one matrix product.
        x = x.view(b, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5).reshape(b, -1, c * p * p)
        return F.linear(x, self.proj.weight.flatten(1), self.proj.bias)


class ViT(nn.Module):
    def __init__(self, image=32, patch=4, dim=64, depth=6, heads=4, ratio=4, classes=10):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (image // patch) ** 2, dim))
        self.patch_embed = PatchEmbed(patch, dim)
        self.blocks = nn.ModuleList(ViTBlock(dim, heads, ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes)
        init_linear(self)
        nn.init.trunc_normal_(self.pos_embed, std=0.3)
        nn.init.trunc_normal_(self.cls_token, std=0.3)
        nn.init.trunc_normal_(self.patch_embed.proj.weight, std=(3 * patch * patch) ** -0.5)

    def forward(self, x, keep=None):
        """`keep`: the patches to look at; all when None (a training economy, PatchDropout)."""
        x = self.patch_embed(x) + self.pos_embed[:, 1:]
        if keep is not None:
            x = x[:, keep]
        x = torch.cat([(self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


# ---------------------------------------------------------------- ResNet


def conv(cin, cout, k, stride=1):
    return nn.Conv2d(cin, cout, k, stride, k // 2, bias=False)


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        projected = stride != 1 or cin != cout
        self.shortcut = nn.Sequential(
            *([conv(cin, cout, 1, stride), nn.BatchNorm2d(cout)] if projected else [])
        )
        self.conv1 = nn.Sequential(conv(cin, cout, 3, stride), nn.BatchNorm2d(cout), nn.ReLU())
        self.conv2 = nn.Sequential(conv(cout, cout, 3), nn.BatchNorm2d(cout))

    def forward(self, x):
        return F.relu(self.conv2(self.conv1(x)) + self.shortcut(x))


class Head(nn.Module):
    """Global average pool and a linear layer; `bn` first when the network is pre-activated."""

    def __init__(self, width, classes, bn):
        super().__init__()
        if bn:
            self.bn = nn.BatchNorm2d(width)
        self.dense = nn.Linear(width, classes)

    def forward(self, x):
        if hasattr(self, "bn"):
            x = F.relu(self.bn(x))
        return self.dense(x.mean((2, 3)))


class ResNet(nn.Module):
    def __init__(self, widths=(16, 32, 48, 80), blocks=(2, 2, 2, 2), classes=10):
        super().__init__()
        self.layer0 = nn.Sequential(conv(3, widths[0], 3), nn.BatchNorm2d(widths[0]), nn.ReLU())
        cin = widths[0]
        for s, (width, n) in enumerate(zip(widths, blocks)):
            stage = []
            for j in range(n):
                stage.append(BasicBlock(cin, width, 2 if s > 0 and j == 0 else 1))
                cin = width
            self.add_module(f"layer{s + 1}", nn.Sequential(*stage))
        self.classifier = nn.Sequential(Head(cin, classes, bn=False))
        init_linear(self)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.layer0(x)))))
        return self.classifier(x)


# ---------------------------------------------------------------- AlterNet


class PreActBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        projected = stride != 1 or cin != cout
        self.shortcut = nn.Sequential(*([conv(cin, cout, 1, stride)] if projected else []))
        self.bn = nn.BatchNorm2d(cin)
        self.conv1 = conv(cin, cout, 3, stride)
        self.conv2 = nn.Sequential(nn.BatchNorm2d(cout), nn.ReLU(), conv(cout, cout, 3))

    def forward(self, x):
        a = F.relu(self.bn(x))
        skip = self.shortcut(a) if len(self.shortcut) else x
        return self.conv2(self.conv1(a)) + skip


class WindowCore(nn.Module):
    """The three projections, named as in the reference (`attn.attn.to_q` ...). Heads are 64 wide."""

    def __init__(self, cin, cout, heads):
        super().__init__()
        self.to_q = nn.Conv2d(cin, 64 * heads, 1, bias=False)
        self.to_kv = nn.Conv2d(cin, 128 * heads, 1, bias=False)
        self.to_out = nn.Sequential(nn.Conv2d(64 * heads, cout, 1))


class WindowAttention(nn.Module):
    def __init__(self, cin, cout, heads, window):
        super().__init__()
        self.heads, self.window = heads, window
        self.attn = WindowCore(cin, cout, heads)
        self.pos_embedding = nn.Parameter(0.02 * torch.randn(2 * window - 1, 2 * window - 1))
        i = torch.arange(window * window)
        key, query = i[None, :], i[:, None]
        self.register_buffer("row", key // window - query // window + window - 1, persistent=False)
        self.register_buffer("col", key % window - query % window + window - 1, persistent=False)

    def windows(self, x, heads):
        """(B,C,H,W) -> (B*windows, heads, w*w, C/heads)."""
        b, c, h, w = x.shape
        p = self.window
        x = x.view(b, heads, c // heads, h // p, p, w // p, p)
        return x.permute(0, 3, 5, 1, 4, 6, 2).reshape(-1, heads, p * p, c // heads)

    def forward(self, x):
        b, _, h, w = x.shape
        p, n = self.window, self.heads
        q = self.windows(self.attn.to_q(x), n)
        k, v = (self.windows(t, n) for t in self.attn.to_kv(x).chunk(2, 1))
        a = (q @ k.transpose(-1, -2) * 64**-0.5 + self.pos_embedding[self.row, self.col]).softmax(-1)
        out = (a @ v).view(b, h // p, w // p, n, p, p, 64).permute(0, 3, 6, 1, 4, 2, 5)
        return self.attn.to_out(out.reshape(b, 64 * n, h, w))


class AttentionBlock(nn.Module):
    def __init__(self, width, heads, window):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width)
        self.conv = nn.Conv2d(width, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.attn = WindowAttention(width, width, heads, window)

    def forward(self, x):
        return self.attn(self.norm2(self.conv(F.gelu(self.norm1(x))))) + x


class Stem(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer0 = nn.Sequential(conv(3, width, 3))

    def forward(self, x):
        return self.layer0(x)


class AlterNet(nn.Module):
    def __init__(self, widths=(16, 32, 64, 96), blocks=(2, 2, 2, 2), msa=(0, 1, 1, 1),
                 heads=(1, 1, 2, 3), window=4, classes=10):
        super().__init__()
        self.layer0 = Stem(widths[0])
        cin = widths[0]
        for s, (width, n, m, h) in enumerate(zip(widths, blocks, msa, heads)):
            stage = []
            for j in range(n):
                if j >= n - 2 * m and (j - (n - 2 * m)) % 2 == 1:
                    stage.append(AttentionBlock(width, h, window))
                else:
                    stage.append(PreActBlock(cin, width, 2 if s > 0 and j == 0 else 1))
                cin = width
            self.add_module(f"layer{s + 1}", nn.Sequential(*stage))
        self.classifier = nn.Sequential(Head(cin, classes, bn=True))
        init_linear(self)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.layer0(x)))))
        return self.classifier(x)


# ---------------------------------------------------------------- Refiner


class DistributedLocalAttention(nn.Module):
    def __init__(self, heads, expand=3):
        super().__init__()
        wide = heads * expand
        self.conv_exp = nn.Conv2d(heads, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.depth_sep_conv = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.conv_pro = nn.Conv2d(wide, heads, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(heads)

    def forward(self, a):
        x = F.relu6(self.bn1(self.conv_exp(a)))
        x = F.relu6(self.bn2(self.depth_sep_conv(x)))
        return self.bn3(self.conv_pro(x)) + a


class RefinerAttention(nn.Module):
    def __init__(self, dim, heads, share):
        super().__init__()
        self.heads, self.share = heads, share
        self.scale = (dim // heads) ** -0.5
        if share:
            self.DLA = DistributedLocalAttention(heads)
            self.adapt_bn = nn.BatchNorm2d(heads)
        self.qkv = nn.Linear(dim, dim if share else 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x, carried):
        b, n, c = x.shape
        if self.share:
            v = self.qkv(x).view(b, n, self.heads, -1).transpose(1, 2)
            a = self.scale * self.adapt_bn(self.DLA(carried))
        else:
            q, k, v = self.qkv(x).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            a = (self.scale * q @ k.transpose(-1, -2)).softmax(-1)
            if carried is not None:
                a = a + self.scale * carried
            carried = a
        return self.proj((a @ v).transpose(1, 2).reshape(b, n, c)), carried


class ScaledMLP(MLP):
    def __init__(self, dim, hidden):
        super().__init__(dim, hidden)
        # The published initial value is 1e-5; a short training needs a livelier start.
        self.scale_channel = nn.Parameter(torch.full((dim,), 0.1))

    def forward(self, x):
        return self.scale_channel * super().forward(x)


class RefinerBlock(nn.Module):
    def __init__(self, dim, heads, ratio, share):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = RefinerAttention(dim, heads, share)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = ScaledMLP(dim, ratio * dim)

    def forward(self, x, carried):
        y, carried = self.attn(self.norm1(x * 0.5), carried)
        x = x + y / 0.5
        return x + self.mlp(self.norm2(x * 0.5)) / 0.5, carried


class ConvEmbed(nn.Module):
    def __init__(self, patch, dim):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.conv3 = nn.Conv2d(64, 128, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(128)
        self.proj = nn.Conv2d(128, dim, patch // 2, patch // 2)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.relu(self.bn3(self.conv3(x)))
        return self.proj(x).flatten(2).transpose(1, 2)


class Refiner(nn.Module):
    def __init__(self, image=32, patch=4, dim=64, depth=6, heads=4, ratio=3, classes=10):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (image // patch) ** 2, dim))
        self.patch_embed = ConvEmbed(patch, dim)
        self.blocks = nn.ModuleList(
            RefinerBlock(dim, heads, ratio, share=i % 2 == 1) for i in range(depth)
        )
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes)
        init_linear(self)
        nn.init.trunc_normal_(self.pos_embed, std=0.3)
        nn.init.trunc_normal_(self.cls_token, std=0.3)
        nn.init.trunc_normal_(self.patch_embed.proj.weight, std=0.05)

    def forward(self, x):
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        carried = None
        for block in self.blocks:
            x, carried = block(x, carried)
        return self.head(self.norm(x)[:, 0])


NETWORKS = {
    "vit": (ViT, "vit(image=32,patch=4,dim=64,depth=6,heads=4,classes=10)"),
    "resnet": (ResNet, "resnet(stem=cifar,image=32,depths=2-2-2-2,block=basic,classes=10,width=16,widths=16-32-48-80)"),
    "alternet": (AlterNet, "alternet(stem=cifar,image=32,depths=2-2-2-2,msa=0-1-1-1,block=basic,window=4,classes=10,"
                           "heads=1-1-2-3,width=16,widths=16-32-64-96)"),
    "refiner": (Refiner, "refiner_vit(image=32,patch=4,dim=64,depth=6,heads=4,classes=10,dense=false)"),
}
