"""Where the data sets come from: addresses, checksums and counts of the official files.

Checksums are SHA-256: of MNIST, Fashion-MNIST, EMNIST and CIFAR-10 those that TensorFlow Datasets keeps (its folder
url_checksums), of Imagenette that of FastAI.jl.
"""

from __future__ import annotations

from dataclasses import dataclass

from narrows.lab.data.fetch import RemoteFile


@dataclass(frozen=True, kw_only=True)
class OfficialSet:
    """A published data set: its files, where copies of them are looked for, and what whole means."""

    name: str
    """Also the name of its folder in the cache."""
    title: str
    folders: tuple[str, ...]
    """Folders under a root of copies, the first one that exists counts."""
    files: tuple[RemoteFile, ...]
    train: int
    test: int
    classes: tuple[str, ...]


EMNIST_ARCHIVE = "gzip.zip"
CIFAR10_ARCHIVE = "cifar-10-binary.tar.gz"
IMAGENETTE_ARCHIVE = "imagenette2-160.tgz"

_DIGITS = tuple("0123456789")

_MNIST_HOMES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",  # the authors' own page, which often refuses
)
_FASHION_HOMES = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
_EMNIST_HOMES = (
    "https://biometrics.nist.gov/cs_links/EMNIST/",
    "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
)


def _file(homes: tuple[str, ...], name: str, size_bytes: int, sha256: str) -> RemoteFile:
    return RemoteFile(name=name, urls=tuple(home + name for home in homes), size_bytes=size_bytes, sha256=sha256)


MNIST = OfficialSet(
    name="mnist",
    title="MNIST",
    folders=("mnist", "MNIST/raw"),
    files=(
        _file(_MNIST_HOMES, "train-images-idx3-ubyte.gz", 9912422,
              "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        _file(_MNIST_HOMES, "train-labels-idx1-ubyte.gz", 28881,
              "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        _file(_MNIST_HOMES, "t10k-images-idx3-ubyte.gz", 1648877,
              "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        _file(_MNIST_HOMES, "t10k-labels-idx1-ubyte.gz", 4542,
              "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
    train=60000,
    test=10000,
    classes=_DIGITS,
)  # fmt: skip

FASHION_MNIST = OfficialSet(
    name="fashion-mnist",
    title="Fashion-MNIST",
    folders=("fashion-mnist", "FashionMNIST/raw"),
    files=(
        _file(_FASHION_HOMES, "train-images-idx3-ubyte.gz", 26421880,
              "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        _file(_FASHION_HOMES, "train-labels-idx1-ubyte.gz", 29515,
              "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        _file(_FASHION_HOMES, "t10k-images-idx3-ubyte.gz", 4422102,
              "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        _file(_FASHION_HOMES, "t10k-labels-idx1-ubyte.gz", 5148,
              "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
    train=60000,
    test=10000,
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
)  # fmt: skip

EMNIST_BALANCED = OfficialSet(
    name="emnist-balanced",
    title="EMNIST-Balanced",
    folders=("emnist-balanced", "emnist47", "EMNIST/raw"),
    files=(
        _file(_EMNIST_HOMES, EMNIST_ARCHIVE, 561753746,
              "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"),
    ),
    train=112800,
    test=18800,
    # Lower-case letters that look like their capitals are one class with them.
    classes=tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"),
)  # fmt: skip

CIFAR10 = OfficialSet(
    name="cifar10",
    title="CIFAR-10",
    folders=("cifar10",),
    files=(
        _file(("https://www.cs.toronto.edu/~kriz/",), CIFAR10_ARCHIVE, 170052171,
              "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
    ),
    train=50000,
    test=10000,
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)  # fmt: skip

IMAGENETTE_FOLDERS = (
    "n01440764", "n02102040", "n02979186", "n03000684", "n03028079", "n03394916", "n03417042", "n03425413",
    "n03445777", "n03888257",
)  # fmt: skip
"""Its folders in the order of its classes."""

IMAGENETTE_160 = OfficialSet(
    name="imagenette2-160",
    title="Imagenette 160 px",
    folders=("imagenette2-160",),
    files=(
        _file(("https://s3.amazonaws.com/fast-ai-imageclas/",), IMAGENETTE_ARCHIVE, 99003388,
              "64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5"),
    ),
    train=9469,
    test=3925,
    classes=(
        "tench", "English springer", "cassette player", "chain saw", "church", "French horn", "garbage truck",
        "gas pump", "golf ball", "parachute",
    ),
)  # fmt: skip
