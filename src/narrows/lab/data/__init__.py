"""The data sets of the studies, each in three parts that share no picture: training, validation, test.

load("mnist")                                  fetched from its official home, checked, kept in a cache
load("mnist", root=Path("copies"))             read from copies at hand; nothing is fetched
load("photographs/", size=(150, 225))          any folder of pictures, brought to one size

sources.py   the official files and their checksums      idx.py      MNIST, Fashion-MNIST, EMNIST-Balanced
fetch.py     into the cache                              cifar.py    CIFAR-10
loader.py    the one door                                pictures.py Imagenette, any folder
"""

from __future__ import annotations

from narrows.lab.data.dataset import Dataset, Split
from narrows.lab.data.loader import NAMES, load
from narrows.lab.data.pictures import Fit

__all__ = ["NAMES", "Dataset", "Fit", "Split", "load"]
