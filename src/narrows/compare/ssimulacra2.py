"""SSIMULACRA 2: how far a picture looks from its original to people; 100 is equal, 90 cannot be told apart, 10 is poor.

    sRGB --> linear light --2 x 2 means--> six scales --XYB--> local moments --> error maps --108 norms--> score

A translation into NumPy of version 2.1 of the metric's own tool (github.com/cloudinary/ssimulacra2, commit 81feacf,
src/ssimulacra2.cc by Jon Sneyers) and of what it takes from libjxl: enc_xyb.cc, opsin_params.h, gauss_blur.cc.
docs/decisions/0005-own-ssimulacra2.md says why, how near it is to that tool, and how fast.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from narrows.compare.moments import Moments, Planes, Window, Windowed
from narrows.compare.records import Pixels

MIN_SIDE = 8
SCALES = 6
KEEP_PIXELS = 4 << 20
"""Up to here the moments of the original are kept: 32 bytes a pixel."""

_C2 = np.float32(0.0009)
_BIAS = 0.0037930732552754493
_LMS = np.array(  # opsin_params.h: linear light to the responses of the three cones
    [
        [0.30, 1 - 0.30 - 0.078, 0.078],
        [0.23, 1 - 0.23 - 0.078, 0.078],
        [0.24342268924547819, 0.20476744424496821, 1 - 0.24342268924547819 - 0.20476744424496821],
    ],
    np.float32,
)
# From cube roots of responses to X, Y and B - Y, each about 0..1 (enc_xyb.cc, then MakePositiveXYB)
_XYB = np.array([[7, -7, 0], [0.5, 0.5, 0], [-0.5, -0.5, 1]], np.float32)
_OFFSET = np.array([0.42, 0.01 - _BIAS ** (1 / 3), 0.55], np.float32)[:, None]

# [channel X, Y, B][scale][norm 1, 4][map: SSIM, edges gained, edges lost]
_WEIGHTS = np.array(
    [
        [
            ((0.0, 0.0007376606707406586, 0.0), (0.0, 0.0007793481682867309, 0.0)),
            ((0.0, 0.0004371155730107379, 0.0), (1.1041726426657346, 0.00066284834129271, 0.00015231632783718752)),
            ((0.0, 0.0016406437456599754, 0.0), (1.8422455520539298, 11.441172603757666, 0.0)),
            ((0.0007989109436015163, 0.000176816438078653, 0.0), (1.8787594979546387, 10.94906990605142, 0.0)),
            (
                (0.0007289346991508072, 0.9677937080626833, 0.0),
                (0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053),
            ),
            ((0.0004550992113792063, 0.0, 0.0), (0.0013648766163243398, 0.0, 0.0)),
        ],
        [
            ((0.0, 0.0, 0.0), (7.466890328078848, 0.0, 17.445833984131262)),
            ((0.0006235601634041466, 0.0, 0.0), (6.683678146179332, 0.00037724407979611296, 1.027889937768264)),
            ((225.20515300849274, 0.0, 0.0), (19.213238186143016, 0.0011401524586618361, 0.001237755635509985)),
            ((176.39317598450694, 0.0, 0.0), (24.43300999870476, 0.28520802612117757, 0.0004485436923833408)),
            ((0.0, 0.0, 0.0), (34.77906344483772, 44.835625328877896, 0.0)),
            ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ],
        [
            ((0.0, 0.0008680556573291698, 0.0), (0.0, 0.0, 0.0)),
            ((0.0, 0.0005313191874358747, 0.0), (0.00016533814161379112, 0.0, 0.0)),
            ((0.0, 0.0, 0.0), (0.0004179171803251336, 0.0017290828234722833, 0.0)),
            ((0.0020827005846636437, 0.0, 0.0), (8.826982764996862, 23.19243343998926, 0.0)),
            (
                (95.1080498811086, 0.9863978034400682, 0.9834382792465353),
                (0.0012286405048278493, 171.2667255897307, 0.9807858872435379),
            ),
            ((0.0, 0.0, 0.0), (0.0005130064588990679, 0.0, 0.00010854057858411537)),
        ],
    ]
)


def _linear_of_srgb() -> NDArray[np.float32]:
    """The linear light of each of the 256 values of sRGB (IEC 61966-2-1)."""
    v = np.arange(256) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4).astype(np.float32)


def recursive_gaussian(sigma: float) -> NDArray[np.float64]:
    """The taps of libjxl's "recursive Gaussian": its impulse response ends by itself, so a plain window equals it.

    Charalampidis 2016, Recursive implementation of the Gaussian filter using truncated cosine functions; numbers of
    equations as in gauss_blur.cc. For sigma 1.5 there are nine taps.
    """
    n = round(3.2795 * sigma + 0.2546)  # (57)
    sign, omega = np.array([1, -1, 1]), np.pi / (2 * n) * np.array([1, 3, 5])
    p = sign / np.tan(omega / 2)  # (37)
    r = sign * p * p / np.sin(omega)  # (44)
    rho = np.exp(-0.5 * sigma**2 * omega**2) / n  # (50)
    zeta = np.cross(p, r)  # (52)
    zeta = zeta / zeta[2]
    beta = np.linalg.solve(np.stack([p, r, zeta]), [1, n * n - sigma**2, zeta @ rho])  # (53), (55), (56)
    return np.asarray(beta @ np.cos(np.outer(omega, np.arange(1 - n, n))))


_LINEAR = _linear_of_srgb()
_WINDOW = Window(recursive_gaussian(1.5))


class Original:
    """An original, ready to score any number of decoded versions of it; threads may share one."""

    def __init__(self, pixels: Pixels) -> None:
        """`pixels` is (H, W, 3) uint8, RGB in sRGB."""
        keep = pixels.shape[0] * pixels.shape[1] <= KEEP_PIXELS
        self._scales = [Windowed(planes, _WINDOW, keep=keep) for planes in _scales(pixels)]

    def score(self, decoded: Pixels) -> float | None:
        """The score of `decoded`, of the same shape; at most 100, may be negative. None if a side is under 8."""
        if not self._scales:
            return None
        norms = [
            _norms(original.against(planes)) for original, planes in zip(self._scales, _scales(decoded), strict=True)
        ]
        # The tool walks through its weights without a gap, also where a shorter side under 113 has fewer than six
        # scales: such scores are the tool's but compare with those of other pictures only loosely
        count = 3 * len(norms) * 6
        error = float(np.stack(norms, axis=1).ravel() @ _WEIGHTS.ravel()[:count]) * 0.9562382616834844
        error = 2.326765642916932 * error - 0.020884521182843837 * error**2 + 6.248496625763138e-05 * error**3
        return 100 - 10 * error**0.6276336467831387 if error > 0 else 100.0


def _scales(pixels: Pixels) -> Iterator[Planes]:
    """XYB at each scale, (3, H + 8, W + 8) with a margin of zeros, as the tool's blur takes what is outside."""
    linear = _LINEAR[pixels.transpose(2, 0, 1)]
    for scale in range(SCALES):
        if min(linear.shape[1:]) < MIN_SIDE:  # before halving: the last scale may be of 4 x 4 pixels
            return
        if scale:
            linear = _halve(linear)
        yield _xyb(linear)


def _halve(planes: Planes) -> Planes:
    """Means of 2 x 2; the last row and column of an odd side count twice."""
    planes = np.pad(planes, ((0, 0), (0, planes.shape[1] % 2), (0, planes.shape[2] % 2)), mode="edge")
    rows = planes[:, 0::2] + planes[:, 1::2]
    return (rows[:, :, 0::2] + rows[:, :, 1::2]) * np.float32(0.25)


def _xyb(linear: Planes) -> Planes:
    r = _WINDOW.radius
    out = np.zeros((3, linear.shape[1] + 2 * r, linear.shape[2] + 2 * r), np.float32)
    responses = _LMS @ linear.reshape(3, -1)
    responses += np.float32(_BIAS)
    np.cbrt(responses, out=responses)
    out[:, r:-r, r:-r] = (_XYB @ responses + _OFFSET).reshape(linear.shape)
    return out


def _norms(bands: Iterator[Moments]) -> NDArray[np.float64]:
    """The 1-norms and 4-norms of the three error maps of one scale, (channel, norm, map)."""
    sums, pixels = np.zeros((3, 2, 3)), 0
    for m in bands:
        pixels += m.x[0].size
        # d = 1 - (1 - (mean difference)^2) (2 covariance + C2) / (both variances + C2), without its cancellation
        ratio = m.variance_d / (m.variance_x + m.variance_y + _C2)
        square = m.mean_d * m.mean_d
        ssim = np.maximum(ratio + square - ratio * square, 0)
        edge_x = np.abs(m.x - m.mean_x) + np.float32(1)
        edge_y = np.abs(m.y - m.mean_x + m.mean_d) + np.float32(1)
        edge = (edge_y - edge_x) / edge_x
        gained = np.maximum(edge, 0)
        for index, error in enumerate((ssim, gained, gained - edge)):
            sums[:, 0, index] += error.sum(axis=(1, 2), dtype=np.float64)
            fourth = np.square(np.square(error))
            sums[:, 1, index] += fourth.sum(axis=(1, 2), dtype=np.float64)
    means = sums / pixels
    means[:, 1] **= 0.25
    return means
