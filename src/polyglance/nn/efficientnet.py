"""EfficientNet-Lite: a small convolutional encoder of pictures, for processors without special hardware.

EfficientNet (Tan and Le, arXiv:1905.11946) with the changes that its authors made for Lite: no squeeze-and-excitation,
ReLU6, and the same stem and head for all sizes. Weights have the names of timm's `tf_efficientnet_lite0` to `4`, and
convolutions pad as TensorFlow does, so published weights give what they gave there.
"""

import math
from itertools import pairwise
from typing import Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_weights

SCALES: Final = {
    "tf_efficientnet_lite0": (1.0, 1.0),
    "tf_efficientnet_lite1": (1.0, 1.1),
    "tf_efficientnet_lite2": (1.1, 1.2),
    "tf_efficientnet_lite3": (1.2, 1.4),
    "tf_efficientnet_lite4": (1.4, 1.8),
}
"""The factors of width and depth of each size, by timm's name."""
_STAGES: Final = (
    # blocks, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM: Final = 32
_HEAD: Final = 1280


class EfficientNetLite(nn.Module):
    """Turns pixels into a feature map whose sides are 1/32 of the picture's, rounded up.

    width: the factor of the channels of all stages. depth: the factor of the blocks of all stages except the first and
    the last. `SCALES` has both for each published size. classes: the number of logits.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0, classes: int = 1000) -> None:
        super().__init__()
        channels = [_STEM, *(_rounded(width * stage[-1]) for stage in _STAGES)]
        self.conv_stem = _SamePadded(3, _STEM, 3, 2)
        self.bn1 = _norm(_STEM)
        self.blocks = nn.Sequential()
        for number, (before, after) in enumerate(pairwise(channels)):
            blocks, kernel, stride, expansion, _ = _STAGES[number]
            fixed = number in (0, len(_STAGES) - 1)
            blocks = blocks if fixed else math.ceil(depth * blocks)
            self.blocks.append(_stage(before, after, kernel, stride, expansion, blocks))
        self.channels = channels[-1]
        self.conv_head = nn.Conv2d(channels[-1], _HEAD, 1, bias=False)
        self.bn2 = _norm(_HEAD)
        self.classifier = nn.Linear(_HEAD, classes)

    def forward(self, pixels: UInt8[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels rows columns"]:
        """Returns the feature map. `channels` is 1280."""
        return self.features(pixels.to(self.conv_head.weight.dtype) / 127.5 - 1)

    def features(self, values: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels rows columns"]:
        """Returns the feature map of pixels from -1 to 1. `channels` is 1280."""
        return self.head(self.trunk(values))

    def trunk(self, values: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels rows columns"]:
        """Returns the output of the last stage, the first half of `features`. `channels` is 320 in Lite0."""
        x: Tensor = self.blocks(F.relu6(self.bn1(self.conv_stem(values))))
        return x

    def head(self, x: Float[Tensor, "batch channels rows columns"]) -> Float[Tensor, "batch wider rows columns"]:
        """Returns the feature map of the output of `trunk`, the second half of `features`."""
        return F.relu6(self.bn2(self.conv_head(x)))

    def logits(self, features: Float[Tensor, "batch channels rows columns"]) -> Float[Tensor, "batch classes"]:
        """Returns the logits of the classes. features: what `forward` returned."""
        logits: Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits

    def fold_norms(self) -> None:
        """Folds each norm into the convolution before it. The outputs stay the same; the model can no longer be
        trained."""
        for module, conv, name, norm in self._normed():
            assert norm.running_mean is not None
            assert norm.running_var is not None
            conv.weight, conv.bias = fuse_conv_bn_weights(
                conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
            setattr(module, name, nn.Identity())

    def drop_norms(self) -> None:
        """Replaces each norm by a bias, so that folded weights can be loaded. Folding itself would import torch's
        compiler for tensors on the device `meta`, which takes a second."""
        for module, conv, name, _ in self._normed():
            conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
            setattr(module, name, nn.Identity())

    def _normed(self) -> list[tuple[nn.Module, nn.Conv2d, str, nn.BatchNorm2d]]:
        """Returns each convolution with a norm behind it: the module that holds both, it, the norm's name, the norm."""
        return [
            (module, conv, name, norm)
            for module in self.modules()
            for (_, conv), (name, norm) in pairwise(module.named_children())
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        ]


class _SamePadded(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: an odd pixel of padding goes behind the picture, not before."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(before, after, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups, bias=False)

    def forward(self, x: Float[Tensor, "batch before high wide"]) -> Float[Tensor, "batch after rows columns"]:
        if (stride := self.stride[0]) > 1:
            kernel = self.kernel_size[0]
            high, wide = (max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:])
            x = F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return super().forward(x)


class _Separable(nn.Module):
    """A convolution of each channel, then one over the channels. The first stage has no more."""

    def __init__(self, before: int, after: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw, self.bn1 = _SamePadded(before, before, kernel, stride, before), _norm(before)
        self.conv_pw, self.bn2 = nn.Conv2d(before, after, 1, bias=False), _norm(after)
        self.adds = stride == 1 and before == after

    def forward(self, x: Float[Tensor, "batch before high wide"]) -> Float[Tensor, "batch after rows columns"]:
        y: Tensor = self.bn2(self.conv_pw(F.relu6(self.bn1(self.conv_dw(x)))))
        return x + y if self.adds else y


class _Inverted(nn.Module):
    """An inverted residual (MobileNetV2, arXiv:1801.04381): more channels, a convolution of each, few channels."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = before * expansion
        self.conv_pw, self.bn1 = nn.Conv2d(before, inside, 1, bias=False), _norm(inside)
        self.conv_dw, self.bn2 = _SamePadded(inside, inside, kernel, stride, inside), _norm(inside)
        self.conv_pwl, self.bn3 = nn.Conv2d(inside, after, 1, bias=False), _norm(after)
        self.adds = stride == 1 and before == after

    def forward(self, x: Float[Tensor, "batch before high wide"]) -> Float[Tensor, "batch after rows columns"]:
        inside = F.relu6(self.bn2(self.conv_dw(F.relu6(self.bn1(self.conv_pw(x))))))
        y: Tensor = self.bn3(self.conv_pwl(inside))
        return x + y if self.adds else y


def _stage(before: int, after: int, kernel: int, stride: int, expansion: int, blocks: int) -> nn.Sequential:
    """Returns blocks of which the first changes channels and sides."""
    shapes = [(before, stride), *[(after, 1)] * (blocks - 1)]
    if expansion == 1:
        return nn.Sequential(*(_Separable(entering, after, kernel, own) for entering, own in shapes))
    return nn.Sequential(*(_Inverted(entering, after, kernel, own, expansion) for entering, own in shapes))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _rounded(channels: float) -> int:
    """Returns the nearest multiple of 8, or the next one if that loses more than a tenth of the channels."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8
