"""What the smallest files of the largest pictures cost a reader: the figures of SECURITY.md.

    python benchmarks/hostile.py [WIDTHxHEIGHT ...]

A strip's stream may have no bytes and then says index 0 for ever (docs/FORMAT.md, E7), so a file of 40 bytes can hold a
picture of any size, and every symbol of it is a large one. Each size is decoded by a process of its own with one
thread. Printed: bytes of the file, processor seconds, and the peak of memory, which includes the program itself.
"""

from __future__ import annotations

import subprocess
import sys
import time

from narrows import container
from narrows.codec import Codec
from narrows.compare.memory import peak_mib
from narrows.container import Container, Mode, Strip

SIZES = ("1024x1024", "4096x1024", "16384x1024", "4096x4096", "65535x1024", "16384x16384")


def empty_file(width: int, height: int, profile: bytes) -> bytes:
    """The smallest RGB file of this size: no strip has a byte."""
    strips = (Strip(side=b"", latents=b""),) * container.strip_count(width, height)
    return container.write(
        Container(mode=Mode.RGB, width=width, height=height, quality=0, profile=profile, strips=strips)
    )


def decode(size: str) -> None:
    """Decode one such file in this process, and print its row."""
    width, height = (int(side) for side in size.split("x"))
    codec = Codec(threads=1)
    data = empty_file(width, height, codec.profile.digest[: container.DIGEST_BYTES])
    begun = time.process_time()
    codec.decode(data)
    seconds = time.process_time() - begun
    print(f"| {width} x {height} | {len(data)} | {seconds:.1f} | {peak_mib() or float('nan'):.0f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        decode(sys.argv[2])
    else:
        print("| picture | bytes of the file | seconds | MiB |\n| --- | --- | --- | --- |", flush=True)
        for size in sys.argv[1:] or SIZES:
            subprocess.run([sys.executable, __file__, "--one", size], check=True)
