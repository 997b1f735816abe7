"""A trained network as a profile stores it: traced, in eval mode, batch norm folded away, weights rounded.

What is fitted and measured before the export runs on this network: nothing is fitted to weights that no file holds.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Literal, get_args

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from narrows.errors import OptionError
from narrows.lab.nets.base import StudyNetwork

Precision = Literal["float32", "float16"]


def settled(network: StudyNetwork, precision: Precision = "float32") -> StudyNetwork:
    """A copy of `network` on the CPU whose halves are torch.fx graphs without batch norm; `network` stays as it is.

    Every BatchNorm2d is folded into the convolution before it, or, where something else stands there, becomes a 1x1
    convolution of its own. With "float16" the weights are rounded to what that can store; biases stay float32.
    OptionError if a half cannot be traced, its weights do not fit, or its shapes are not those of its geometry.
    """
    if precision not in get_args(Precision):
        raise OptionError(f"precision is one of {', '.join(get_args(Precision))}, not {precision!r}")
    geometry = network.geometry
    result = StudyNetwork(geometry, _folded(network.encoder, "encoder"), _folded(network.decoder, "decoder")).eval()
    with torch.no_grad():
        for name, parameter in result.named_parameters():
            parameter.requires_grad_(False)
            if precision == "float16" and parameter.ndim >= 2:
                parameter.copy_(parameter.half().float())
            if not bool(torch.isfinite(parameter).all()):
                raise OptionError(f"{name} holds a value that is not finite in {precision}")
    _check_shapes(result)
    return result


def _folded(module: nn.Module, name: str) -> fx.GraphModule:
    plain = copy.deepcopy(module).eval().cpu().float()
    try:
        # Wrapped, so that a half that is a single layer stays a layer.
        graph_module = fx.symbolic_trace(nn.Sequential(plain))
    except Exception as error:  # whatever the network's own code raises when it meets a proxy
        raise OptionError(f"the {name} cannot be traced by torch.fx: {error}") from error
    layers = dict(graph_module.named_modules())
    uses = Counter(str(node.target) for node in graph_module.graph.nodes if node.op == "call_module")
    for node in list(graph_module.graph.nodes):
        layer = layers.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(layer, nn.BatchNorm2d):
            continue
        if layer.running_mean is None or layer.running_var is None:
            raise OptionError(f"the {name}'s {node.target} keeps no running statistics, so it cannot be folded")
        before = node.args[0]
        alone = before.op == "call_module" and len(before.users) == 1 and uses[str(before.target)] == 1
        fused = _fused(layers[str(before.target)], layer) if alone else None
        if fused is None:
            layers[str(node.target)] = pointwise = _as_convolution(layer)
            graph_module.add_submodule(str(node.target), pointwise)
        else:
            layers[str(before.target)] = fused
            graph_module.add_submodule(str(before.target), fused)
            node.replace_all_uses_with(before)
            graph_module.graph.erase_node(node)
    graph_module.delete_all_unused_submodules()
    graph_module.recompile()
    return graph_module.eval()


def _fused(before: nn.Module, norm: nn.BatchNorm2d) -> nn.Module | None:
    if isinstance(before, nn.ConvTranspose2d):
        return fuse_conv_bn_eval(before, norm, transpose=True) if before.groups == 1 else None
    if isinstance(before, nn.Conv2d):
        return fuse_conv_bn_eval(before, norm)
    return fuse_linear_bn_eval(before, norm) if isinstance(before, nn.Linear) else None


def _as_convolution(norm: nn.BatchNorm2d) -> nn.Conv2d:
    """The same map of each channel: fused into an identity."""
    identity = nn.Conv2d(norm.num_features, norm.num_features, 1, groups=norm.num_features, bias=False)
    with torch.no_grad():
        identity.weight.fill_(1)
    return fuse_conv_bn_eval(identity.eval(), norm)


def _check_shapes(network: StudyNetwork) -> None:
    """OptionError unless both halves keep to the geometry, for maps on an oblong picture."""
    geometry = network.geometry
    if geometry.cell is None:
        picture = torch.zeros(1, geometry.channels, 2 * geometry.stride, 3 * geometry.stride)
        expected = (1, geometry.latent, 2, 3)
    else:
        picture = torch.zeros(1, geometry.channels, geometry.cell, geometry.cell)
        expected = (1, geometry.latent, 1, 1)
    try:
        with torch.no_grad():
            y = network.encode(picture)
            if tuple(y.shape) != expected:
                raise OptionError(f"the encoder makes {tuple(y.shape)} of {tuple(picture.shape)}, must make {expected}")
            found = tuple(network.decode(y).shape)
    except (RuntimeError, IndexError) as error:
        raise OptionError(f"the network does not run on {tuple(picture.shape)}: {error}") from error
    if found != tuple(picture.shape):
        raise OptionError(f"the decoder makes {found} of {expected}, must make {tuple(picture.shape)}")
    for half, example in ((network.encoder, picture), (network.decoder, y if geometry.cell is None else y[:, :, 0, 0])):
        if isinstance(half, fx.GraphModule):
            ShapeProp(half).propagate(example)  # kept with every node, for the export
