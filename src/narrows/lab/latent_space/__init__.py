"""What the latents of a study's network look like: as points, as paths, as something to draw pictures from.

codes.py         pictures to codes and back, as the exported graphs do it, but for the quantiser
projection.py    PCA, t-SNE, and whether neighbours are of one class, as a number
paths.py         interpolations, how even and how straight they are, traversals of single units
samples.py       pictures drawn from the prior, or from a Gaussian fitted to codes
units.py         which units are used
features.py      what pictures are compared by where no pixel has a counterpart
frechet.py       how far apart two sets of pictures are in such features: the stated substitute for FID

Pictures are uint8 (N, H, W) or (N, H, W, 3), networks are on the CPU and in eval mode, and everything that draws
takes a seed and gives the same each time.
"""

from __future__ import annotations

from narrows.lab.latent_space.codes import code_size, decode_codes, latents
from narrows.lab.latent_space.features import ClassifierFeatures, Features, PcaFeatures, train_classifier
from narrows.lab.latent_space.frechet import frechet_distance
from narrows.lab.latent_space.paths import PathDistortion, interpolations, path_distortion, traversals
from narrows.lab.latent_space.projection import Neighbours, Projection, neighbour_accuracy, pca, tsne
from narrows.lab.latent_space.samples import fitted_samples, prior_samples
from narrows.lab.latent_space.units import Units, active_units

__all__ = [
    "ClassifierFeatures",
    "Features",
    "Neighbours",
    "PathDistortion",
    "PcaFeatures",
    "Projection",
    "Units",
    "active_units",
    "code_size",
    "decode_codes",
    "fitted_samples",
    "frechet_distance",
    "interpolations",
    "latents",
    "neighbour_accuracy",
    "path_distortion",
    "pca",
    "prior_samples",
    "train_classifier",
    "traversals",
    "tsne",
]
