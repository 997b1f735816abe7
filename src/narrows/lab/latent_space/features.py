"""What pictures are compared by where no pixel of one has a counterpart in the other: samples against real pictures.

FID takes the features of an Inception network trained on ImageNet in colour at 299 x 299. Its weights are not ours to
ship, and for grey digits or faces of 28 to 256 pixels its features mean little. Two substitutes:

    ClassifierFeatures   the last hidden layer of a small network that we train to tell the data set's classes apart;
                         for a set with labels. It sees what the classes differ in.
    PcaFeatures          the first principal components of real pictures: needs no labels and no training. It sees
                         coarse shape and tone; blur it sees hardly at all.

A distance in one kind of features can be compared with another in the very same features object only, and never with
a published FID. `description` is the sentence for the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F

from narrows.errors import OptionError
from narrows.lab.data import Split
from narrows.lab.latent_space.codes import Pictures
from narrows.lab.measure.arrays import require_pictures

FEATURES = 64
_SIDE = 32  # the classifier sees pictures of this size: it judges shape, and the larger sets stay cheap
_BATCH = 128


class Features(Protocol):
    """Numbers (N, k) float64 of pictures uint8 (N, H, W[, 3]), and a sentence that says what they are."""

    @property
    def description(self) -> str: ...

    def __call__(self, pictures: Pictures) -> NDArray[np.float64]: ...


class PcaFeatures:
    """Principal components of real pictures, in units of 0..1 a sample, not whitened. Same pictures, same features."""

    def __init__(self, real: Pictures, count: int = FEATURES) -> None:
        """`real` is a sample of real pictures, best of the training part; `count` components are kept."""
        require_pictures(real, 2)
        flat = _flat(real)
        if not 1 <= count <= min(flat.shape):
            raise OptionError(f"{len(real)} pictures of {flat.shape[1]} samples have no {count} components")
        self._pca = PCA(n_components=count, random_state=0).fit(flat)
        self._shape = real.shape[1:]
        share = float(self._pca.explained_variance_ratio_.sum())
        self.description = (
            f"{count} principal components of {len(real)} real pictures, {100 * share:.1f} % of their variance"
        )

    def __call__(self, pictures: Pictures) -> NDArray[np.float64]:
        """(N, count). OptionError for pictures of another size."""
        require_pictures(pictures)
        if pictures.shape[1:] != self._shape:
            raise OptionError(f"these features are of pictures {self._shape}, not {pictures.shape[1:]}")
        found: NDArray[np.float64] = self._pca.transform(_flat(pictures))
        return found


class _Classifier(nn.Module):
    """Pictures (B, C, 32, 32) in 0..1 to `FEATURES` numbers, and those to a score a class."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((channels, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.trunk = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (_SIDE // 8) ** 2, FEATURES))
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, classes))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.trunk(x))
        return scores


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassifierFeatures:
    """The last hidden layer of a trained small classifier, before its ReLU, so that no feature can be dead."""

    network: nn.Module
    """The layers up to and with that one: (B, C, 32, 32) in 0..1 to (B, 64)."""
    channels: int
    accuracy: float
    """On pictures that it was not trained on."""
    description: str

    def __call__(self, pictures: Pictures) -> NDArray[np.float64]:
        """(N, 64). Pictures of any size are brought to 32 x 32. OptionError for grey and a colour classifier, or so."""
        require_pictures(pictures)
        if (1 if pictures.ndim == 3 else 3) != self.channels:
            raise OptionError(f"this classifier sees pictures of {self.channels} channels, not {pictures.shape}")
        with torch.no_grad():
            parts = [self.network(_seen(pictures[at : at + _BATCH])) for at in range(0, len(pictures), _BATCH)]
        found: NDArray[np.float64] = torch.cat(parts).double().numpy()
        return found


def train_classifier(train: Split, validation: Split, *, epochs: int = 3, seed: int = 0) -> ClassifierFeatures:
    """A small convolutional classifier of a labelled data set: Adam 1e-3, batches of 128, the same for one seed.

    Seconds for some thousand pictures. OptionError for a set without labels or with one class.
    """
    if train.labels is None or validation.labels is None or train.channels != validation.channels:
        raise OptionError("a classifier needs labels, for pictures of one kind; without labels take PcaFeatures")
    require_pictures(validation.images)
    classes = int(train.labels.max(initial=0)) + 1
    if classes < 2 or epochs < 1:
        raise OptionError(f"a classifier needs two classes or more and an epoch, not {classes} and {epochs}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _Classifier(train.channels, classes)
    order = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    labels = torch.from_numpy(train.labels)
    for _ in range(epochs):
        for batch in np.array_split(order.permutation(len(train)), -(-len(train) // _BATCH)):
            loss = F.cross_entropy(network(_seen(train.images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    network.eval().requires_grad_(False)
    right = 0
    for at in range(0, len(validation), _BATCH):
        guesses = network(_seen(validation.images[at : at + _BATCH])).argmax(1).numpy()
        right += int(np.sum(guesses == validation.labels[at : at + _BATCH]))
    accuracy = right / len(validation)
    return ClassifierFeatures(
        network=network.trunk,
        channels=train.channels,
        accuracy=accuracy,
        description=f"{FEATURES} features of a small classifier of ours, {len(train)} pictures and {epochs} epochs, "
        f"{100 * accuracy:.1f} % right on {len(validation)} others",
    )


def _seen(pictures: Pictures) -> Tensor:
    """Pictures as the classifier's input, (B, C, 32, 32) in 0..1."""
    planes = pictures[:, None] if pictures.ndim == 3 else pictures.transpose(0, 3, 1, 2)
    x = torch.from_numpy(np.ascontiguousarray(planes)).float() / 255
    if x.shape[-2:] == (_SIDE, _SIDE):
        return x
    return F.interpolate(x, (_SIDE, _SIDE), mode="bilinear", align_corners=False, antialias=True)


def _flat(pictures: Pictures) -> NDArray[np.float32]:
    return pictures.reshape(len(pictures), -1).astype(np.float32) / np.float32(255)
