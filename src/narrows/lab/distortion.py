"""What a decoded picture loses: the mean squared error, and the error that the picture itself does not hide.

Noise in grass is not seen, the same noise in the sky is; and an eye that cannot see single pixels still sees that a
region is too dark. MS-SSIM knows both. `masked_error` is its contrast and structure term for small errors, and unlike
the term itself a quadratic form of the error, so that lambda weighs it as it weighs the squared error, at any quality:

    sum over scales s of  w(s) x mean over windows of  error energy / (variance of the original + C2)

in luma, with MS-SSIM's weights of the scales and its C2, divided by what white noise of mean square 1 would make of it
in the same picture. Source: Z. Wang, E. Simoncelli, A. Bovik, "Multi-scale structural similarity for image quality
assessment" (2003).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
C2 = (0.03 * 255) ** 2
LUMA = (0.299, 0.587, 0.114)
WINDOW = 8
ALIGN = 2 ** (len(SCALE_WEIGHTS) - 1)
"""Samples of the picture in one of the coarsest scale."""


def squared_error(decoded: Tensor, original: Tensor) -> Tensor:
    """(B,) mean squared errors on 0..255 of pictures (B, H, W, C) in 0..1."""
    return 255**2 * (decoded - original).square().mean((1, 2, 3))


def masked_error(decoded: Tensor, original: Tensor) -> Tensor:
    """(B,) the same of the luma, weighed by what is visible: as large as `squared_error` for white noise.

    Pictures (B, H, W, C) in 0..1, H and W at least 8; of scales whose side would be under 8 there are none. Other than
    three channels are averaged. The original gets no gradient.
    """
    with torch.no_grad():
        luma = 255 * _luma(original)
    error = 255 * _luma(decoded) - luma
    weighed = white = torch.zeros(len(luma), device=luma.device)
    for scale, visible in enumerate(_visible(luma)):
        weighed = weighed + (visible * _window_means(error.square())).mean((1, 2, 3))
        white = white + visible.mean((1, 2, 3)) / 4**scale  # halving averages four samples of noise
        error = F.avg_pool2d(error, 2)
    return weighed / white


def distortion(decoded: Tensor, original: Tensor, masking: float) -> Tensor:
    """(B,) `masking` parts of the masked error and 1 - `masking` of the squared error."""
    plain = squared_error(decoded, original)
    return (1 - masking) * plain + masking * masked_error(decoded, original) if masking else plain


class Distortion:
    """`distortion` of one picture, part by part: what an error at each place of it counts.

    The windows lie around every sample here, also at the edges, where `masked_error` has fewer of them.
    """

    def __init__(self, original: Tensor, masking: float) -> None:
        """`original` (1, H, W, C) in 0..1, sides multiples of ALIGN."""
        self._plain = 1.0
        self._masked: list[Tensor] = []
        if not masking:
            return
        self._plain = 1 - masking
        luma, white = 255 * _luma(original), 0.0
        for scale, windows in enumerate(_visible(luma)):
            visible = _spread(windows, [side >> scale for side in luma.shape[2:]])[0, 0]
            white += float(visible.mean()) / 4**scale
            self._masked.append(4**scale * visible)
        self._masked = [masking / white * weight for weight in self._masked]

    def cost(self, error: Tensor, place: tuple[int, int], inner: tuple[slice, slice]) -> tuple[Tensor, float]:
        """What the errors (1, h, w, C) on 0..255 of the part that begins at `place` (row, column) cost, and how much of
        it lies in its rows and columns `inner`; over the whole picture it sums to distortion x H x W.

        All numbers are multiples of ALIGN. The first result has a gradient, the second is none to differentiate.
        """
        maps = [(0, self._plain * error.square().mean(-1)[0])]
        luma = _luma(error)[0]
        for scale, weight in enumerate(self._masked):
            top, left = (start >> scale for start in place)
            maps.append((scale, weight[top : top + luma.shape[1], left : left + luma.shape[2]] * luma[0].square()))
            luma = F.avg_pool2d(luma, 2)
        within = 0.0
        for scale, cost in maps:
            rows, columns = (slice(part.start >> scale, part.stop >> scale) for part in inner)
            within += float(cost.detach()[rows, columns].sum())
        return torch.stack([cost.sum() for _, cost in maps]).sum(), within


def _visible(luma: Tensor) -> Iterator[Tensor]:
    """What an error counts in each window of luma (B, 1, H, W) on 0..255, scale after scale."""
    for share in SCALE_WEIGHTS:
        if min(luma.shape[2:]) < WINDOW:
            return
        variance = (_window_means(luma.square()) - _window_means(luma).square()).clamp_min(0)
        yield share / (variance + C2)
        luma = F.avg_pool2d(luma, 2)


def _spread(windows: Tensor, size: Sequence[int]) -> Tensor:
    """Means at each sample of the values of the windows that cover it; `windows` as _window_means lays them."""
    kernel = torch.ones(1, 1, WINDOW, WINDOW)
    sums, counts = (
        F.conv_transpose2d(part, kernel, stride=WINDOW // 2) for part in (windows, torch.ones_like(windows))
    )
    spread = sums / counts
    rest = (0, size[1] - spread.shape[3], 0, size[0] - spread.shape[2])
    return F.pad(spread, rest, mode="replicate")


def _luma(pictures: Tensor) -> Tensor:
    """(B, 1, H, W) in float32, whatever the autocast: a product of matrices would be rounded to bfloat16."""
    pictures = pictures.float()
    if pictures.shape[-1] != len(LUMA):
        return pictures.mean(-1)[:, None]
    return (pictures * pictures.new_tensor(LUMA)).sum(-1)[:, None]


def _window_means(plane: Tensor) -> Tensor:
    return F.avg_pool2d(plane, WINDOW, WINDOW // 2)
