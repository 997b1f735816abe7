"""The integers of one strip as a file's streams and back: which table each one is coded with, step by step.

    schema 1   side chunk: z_hat by a table a channel         latents chunk: symbols, per context step by scales' rows
    schema 2   latents chunk: z_hat, per side step by side's rows, and then the symbols as before, in one stream

Rules D1, D2, E8, E12 and E13 of docs/FORMAT.md. Bytes are read by integers alone (P7).
"""

from __future__ import annotations

import numpy as np

from narrows.container import Strip
from narrows.entropy import LatentDecoder, Step, encode_joint, open_joint
from narrows.errors import CorruptError, ProfileError
from narrows.profile import Profile, SideContext
from narrows.runtime import Networks, Rows, Symbols
from narrows.tiles import Box, StepOrder


class StripCoder:
    """Codes the strips of one profile's files. Threads may share it."""

    def __init__(self, profile: Profile, networks: Networks) -> None:
        self._profile, self._networks = profile, networks
        manifest, side = profile.manifest, profile.side_context
        self._order = StepOrder(profile.steps, manifest.context_steps)
        self._side_order = None if side is None else StepOrder(side.steps, manifest.side_steps)

    def encode(self, symbols: Symbols, rows: Rows, z_hat: Symbols | None, index: int) -> Strip:
        """Symbols and their rows (1, m, h, w) and z_hat (1, hz, h', w'), coded; ProfileError as of the tables."""
        profile = self._profile
        masks = self._order.masks(*symbols.shape[2:])
        steps: list[Step] = [(rows.reshape(-1), symbols.reshape(-1), mask) for mask in masks]
        if profile.side_context is not None and z_hat is not None:
            side_steps = self._side_steps(profile.side_context, z_hat, index)
            joint = encode_joint([(profile.side_context.tables, side_steps), (profile.latent_tables, steps)])
            return Strip(side=None, latents=joint)
        side = None
        if profile.side_tables is not None and z_hat is not None:
            side = profile.side_tables.encode(z_hat[0], int(profile.side_classes[index]))
        return Strip(side=side, latents=profile.latent_tables.encode(steps))

    def decode(self, strip: Strip, box: Box, index: int) -> tuple[Symbols, Symbols | None]:
        """Symbols (1, m, h, w) and z_hat (1, hz, h', w') of the strip in `box`, in pixels; CorruptError."""
        profile, manifest = self._profile, self._profile.manifest
        shape = (manifest.hyper_channels, box.height // manifest.hyper_stride, box.width // manifest.hyper_stride)
        z_hat = None
        if profile.side_context is not None:
            stream = open_joint(strip.latents)
            z_hat = self._read_side(profile.side_context, profile.side_context.tables.reader(stream), shape, index)
            decoder = profile.latent_tables.reader(stream)
        else:
            if strip.side is not None and profile.side_tables is not None:
                z_hat = profile.side_tables.decode(strip.side, shape, int(profile.side_classes[index]))[None]
            decoder = profile.latent_tables.decoder(strip.latents)
        rows, columns = box.height // manifest.latent_stride, box.width // manifest.latent_stride
        symbols = np.zeros((1, manifest.latent_channels, rows, columns), np.int32)
        flat = symbols.reshape(-1)
        for step, mask in enumerate(self._order.masks(rows, columns)):
            decoder.step_into(flat, self._networks.scales(step, z_hat, symbols, index).reshape(-1), mask)
        decoder.finish()
        return symbols, z_hat

    def _side_steps(self, side: SideContext, z_hat: Symbols, index: int) -> list[Step]:
        """Rows, symbols and mask of each side step; ProfileError if z_hat (1, hz, h', w') leaves -L..L."""
        limit = self._profile.manifest.hyper_limit
        if z_hat.size and np.abs(z_hat).max() > limit:
            raise ProfileError(f"the hyper-latent holds values over {limit}")
        assert self._side_order is not None
        whole = z_hat - side.centre[index][:, None, None]
        values = np.zeros_like(whole)
        steps: list[Step] = []
        for step, mask in enumerate(self._side_order.masks(*z_hat.shape[2:])):
            rows, shift = self._networks.side(step, values, index)
            steps.append((rows.reshape(-1), (whole - shift).reshape(-1), mask))
            values += whole * mask.reshape(values.shape)
        return steps

    def _read_side(self, side: SideContext, decoder: LatentDecoder, shape: tuple[int, int, int], index: int) -> Symbols:
        """z_hat (1, *shape) from the beginning of a stream: E13."""
        assert self._side_order is not None
        limit, centre = self._profile.manifest.hyper_limit, side.centre[index][:, None, None]
        values = np.zeros((1, *shape), np.int32)
        for step, mask in enumerate(self._side_order.masks(*shape[1:])):
            rows, shift = self._networks.side(step, values, index)
            symbols = np.zeros(values.size, np.int32)
            decoder.step_into(symbols, rows.reshape(-1), mask)
            here = mask.reshape(values.shape)
            values += (symbols.reshape(values.shape) + shift) * here
            if (np.abs(values + centre) * here).max() > limit:
                raise CorruptError(f"has a hyper-latent outside -{limit}..{limit} (rule E13)")
        z_hat: Symbols = values + centre
        return z_hat
