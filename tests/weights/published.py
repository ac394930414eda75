"""Files as the public projects publish them: their names and shapes, written out here, with random numbers.

Each takes the sizes of the backbone: the published ones, or those of a small stand-in.
"""

import struct

import numpy as np
import torch


def filled(shapes, seed=0):
    """A state of numbers that tell parameters apart; variances are positive, counters are counters.

    Small ones are random; large ones hold one number each, since drawing a hundred million takes its time.
    """
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for number, (key, shape) in enumerate(shapes.items(), start=1):
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(7)
        elif key.endswith("running_var"):
            state[key] = torch.rand(shape, generator=generator) + 0.5
        elif np.prod(shape) > 500_000:
            state[key] = torch.full(shape, number * 1e-7)
        else:
            state[key] = torch.randn(shape, generator=generator) / max(1, int(np.prod(shape[1:]))) ** 0.5
    return state


def norm(name, channels):
    parts = {f"{name}.{one}": (channels,) for one in ("weight", "bias", "running_mean", "running_var")}
    return parts | {f"{name}.num_batches_tracked": ()}


def resnet(blocks, stem):
    """Torchvision's ResNet of bottlenecks, without its classifier."""
    shapes = {"conv1.weight": (stem, 3, 7, 7)} | norm("bn1", stem)
    channels = stem
    for stage, count in enumerate(blocks, start=1):
        width = stem * 2**stage // 2
        for block in range(count):
            name = f"layer{stage}.{block}"
            shapes[f"{name}.conv1.weight"] = (width, channels, 1, 1)
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            shapes[f"{name}.conv3.weight"] = (4 * width, width, 1, 1)
            for number, size in ((1, width), (2, width), (3, 4 * width)):
                shapes |= norm(f"{name}.bn{number}", size)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, channels, 1, 1)
                shapes |= norm(f"{name}.downsample.1", 4 * width)
            channels = 4 * width
    return shapes


def resnet_50(sizes):
    return torchvision(sizes.blocks_50, sizes)


def resnet_101(sizes):
    return torchvision(sizes.blocks_101, sizes)


def torchvision(blocks, sizes):
    shapes = resnet(blocks, sizes.width)
    return filled(shapes | {"fc.weight": (1000, sizes.channels[-1]), "fc.bias": (1000,)})


def mobilenet_v2(_):
    """Expansion, channels, repeats of each group of blocks: table 2 of the paper."""
    groups = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
    shapes = {"features.0.0.weight": (32, 3, 3, 3)} | norm("features.0.1", 32)
    channels, number = 32, 0
    for expansion, out, repeats in groups:
        for _ in range(repeats):
            number, hidden, parts = number + 1, channels * expansion, []
            if expansion > 1:
                parts.append(((hidden, channels, 1, 1), "0.0", "0.1"))
            parts.append(((hidden, 1, 3, 3), f"{len(parts)}.0", f"{len(parts)}.1"))
            parts.append(((out, hidden, 1, 1), f"{len(parts)}", f"{len(parts) + 1}"))
            for shape, convolution, normed in parts:
                shapes[f"features.{number}.conv.{convolution}.weight"] = shape
                shapes |= norm(f"features.{number}.conv.{normed}", shape[0])
            channels = out
    shapes |= {"features.18.0.weight": (1280, channels, 1, 1)} | norm("features.18.1", 1280)
    return filled(shapes | {"classifier.1.weight": (1000, 1280), "classifier.1.bias": (1000,)})


def drn_d_105(sizes):
    return filled(drn(sizes) | {"fc.weight": (1000, sizes.drn_head, 1, 1), "fc.bias": (1000,)})


def drn(sizes):
    """DRN-D, without its classifier."""

    def plain(name, a, b, kernel):
        return {f"{name}.0.weight": (b, a, kernel, kernel)} | norm(f"{name}.1", b)

    first, second, channels = sizes.drn_stem
    shapes = plain("layer0", 3, first, 7) | plain("layer1", first, second, 3) | plain("layer2", second, channels, 3)
    for level, (count, width) in enumerate(sizes.drn, start=3):
        for block in range(count):
            name = f"layer{level}.{block}"
            for number, shape in enumerate(
                [(width, channels, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)], 1
            ):
                shapes[f"{name}.conv{number}.weight"] = shape
                shapes |= norm(f"{name}.bn{number}", shape[0])
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, channels, 1, 1)
                shapes |= norm(f"{name}.downsample.1", 4 * width)
            channels = 4 * width
    return shapes | plain("layer7", channels, sizes.drn_head, 3) | plain("layer8", sizes.drn_head, sizes.drn_head, 3)


def irnet(kind, sizes):
    """IRNet's files hold the backbone as ``resnet50``, as stages, and as a list of stages; heads likewise."""
    boundary = kind == "irnet-boundary"
    state = {f"resnet50.{key}": one for key, one in filled(resnet(sizes.blocks_50, sizes.width)).items()}
    first = ("conv1", "bn1", "relu", "maxpool", *(() if boundary else ("layer1",)))
    stages = [first, *((f"layer{one}",) for one in range(1 if boundary else 2, 5))]
    for number, parts in enumerate(stages):
        for position, part in enumerate(parts):
            for key in [key for key in state if key.startswith(f"resnet50.{part}.")]:
                rest = key.removeprefix(f"resnet50.{part}")
                state[f"stage{number + 1}.{position}{rest}"] = state[f"backbone.{number}.{position}{rest}"] = state[key]
    if not boundary:
        state |= filled({"classifier.weight": (20, sizes.channels[-1], 1, 1)}, 1)
        return state | {"newly_added.0.weight": state["classifier.weight"]}
    heads = {}
    for number, (one, width) in enumerate(zip(sizes.channels, (64, 128, 256, 256, 256)), start=1):
        heads |= {f"fc_edge{number}.0.weight": (32, one, 1, 1)} | group_norm(f"fc_edge{number}.1", 32)
        heads |= {f"fc_dp{number}.0.weight": (width, one, 1, 1)} | group_norm(f"fc_dp{number}.1", width)
    heads |= {"fc_edge6.weight": (1, 160, 1, 1), "fc_edge6.bias": (1,), "fc_dp6.0.weight": (256, 768, 1, 1)}
    heads |= {"fc_dp7.0.weight": (256, 448, 1, 1), "fc_dp7.3.weight": (2, 256, 1, 1), "mean_shift.running_mean": (2,)}
    heads = filled(heads | group_norm("fc_dp6.1", 256) | group_norm("fc_dp7.1", 256), 1)
    heads["fc_dp7.4.running_mean"] = heads["mean_shift.running_mean"]
    state |= heads
    for prefix, listed in (("fc_edge", "edge_layers"), ("fc_dp", "dp_layers")):
        for key in [key for key in heads if key.startswith(prefix)]:
            number, rest = key.removeprefix(prefix).split(".", 1)
            state[f"{listed}.{int(number) - 1}.{rest}"] = state[key]
    return state | {"path_indices0": torch.zeros(2, 2, 4), "disp_target": torch.zeros(1, 2, 156, 1)}


def group_norm(name, channels):
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def resnet_38(sizes):
    """PSA's names."""
    channels = sizes.stem_38
    shapes = {"conv1a.weight": (channels, 3, 3, 3)} | norm("bn7", sizes.deep_38[-1])
    for stage, (count, width, out) in zip(("b2", "b3", "b4", "b5"), sizes.wide_38):
        shapes[f"{stage}.conv_branch1.weight"] = (out, channels, 1, 1)
        for number in range(count):
            name = f"{stage}_{number}" if number else stage
            before = out if number else channels
            shapes |= norm(f"{name}.bn_branch2a", before) | norm(f"{name}.bn_branch2b1", width)
            shapes[f"{name}.conv_branch2a.weight"] = (width, before, 3, 3)
            shapes[f"{name}.conv_branch2b1.weight"] = (out, width, 3, 3)
        channels = out
    for name, out in zip(("b6", "b7"), sizes.deep_38):
        quarter, half = out // 4, out // 2
        for part, size in (("2a", channels), ("2b1", quarter), ("2b2", half)):
            shapes |= norm(f"{name}.bn_branch{part}", size)
        shapes[f"{name}.conv_branch2a.weight"] = (quarter, channels, 1, 1)
        shapes[f"{name}.conv_branch2b1.weight"] = (half, quarter, 3, 3)
        shapes[f"{name}.conv_branch2b2.weight"] = (out, half, 1, 1)
        shapes[f"{name}.conv_branch1.weight"] = (out, channels, 1, 1)
        channels = out
    return shapes


def sc_cam(sizes):
    """PSA's classifier with a layer for 20 classes and one for 200 sub-categories."""
    channels = sizes.channels_38[-1]
    heads = {"fc8_20.weight": (20, channels, 1, 1), "fc8_200.weight": (200, channels, 1, 1)}
    return filled(resnet_38(sizes) | heads)


def psa(kind, sizes):
    *_, third, fourth, fifth = sizes.channels_38
    heads = {"fc8.weight": (20, fifth, 1, 1)}
    if kind == "psa-affinitynet":
        heads = {
            "f8_3.weight": (64, third, 1, 1),
            "f8_4.weight": (128, fourth, 1, 1),
            "f8_5.weight": (256, fifth, 1, 1),
        }
        heads |= {"f9.weight": (448, 448, 1, 1)}
    state = filled(resnet_38(sizes) | heads)
    return {key: one for key, one in state.items() if not key.endswith("num_batches_tracked")}  # PyTorch 0.4


def seam(sizes):
    *_, third, fourth, fifth = sizes.channels_38
    heads = {"fc8.weight": (21, fifth, 1, 1), "f8_3.weight": (64, third, 1, 1), "f8_4.weight": (128, fourth, 1, 1)}
    return filled(resnet_38(sizes) | heads | {"f9.weight": (192, 195, 1, 1)})


def deeplab(prefix, heads, sizes):
    """deeplab-pytorch's ResNet-101 with whatever follows it."""
    channels = sizes.width
    shapes = {"layer1.conv1.conv.weight": (channels, 3, 7, 7)} | norm("layer1.conv1.bn", channels)
    for stage, count in enumerate(sizes.blocks_101, start=2):
        width = sizes.width * 2**stage // 4
        for block in range(1, count + 1):
            parts = {
                "reduce": (width, channels, 1, 1),
                "conv3x3": (width, width, 3, 3),
                "increase": (4 * width, width, 1, 1),
            }
            if block == 1:
                parts["shortcut"] = (4 * width, channels, 1, 1)
            for part, shape in parts.items():
                name = f"layer{stage}.block{block}.{part}"
                shapes |= {f"{name}.conv.weight": shape} | norm(f"{name}.bn", shape[0])
            channels = 4 * width
    return filled({f"{prefix}{key}": shape for key, shape in (shapes | heads).items()})


def deeplab_voc(sizes):
    heads = {f"aspp.c{one}.weight": (21, sizes.channels[-1], 3, 3) for one in range(4)}
    return deeplab("base.", heads | {f"aspp.c{one}.bias": (21,) for one in range(4)}, sizes)


def deeplab_coco(sizes):
    return deeplab("", {"fc.weight": (91, sizes.channels[-1], 1, 1), "fc.bias": (91,)}, sizes)


# ---------------------------------------------------------------- MXNet


def mxnet_names(sizes):
    """ademxapp's name of each parameter of PSA's ResNet-38."""
    kinds = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_var"}
    names = {}
    for key in resnet_38(sizes):
        *path, last = key.split(".")
        if last == "num_batches_tracked":
            continue
        store = "aux" if last.startswith("running") else "arg"
        if len(path) == 1:  # conv1a, bn7
            names[key] = f"{store}:{path[0]}_{kinds[last] if path[0] == 'bn7' else last}"
            continue
        block, part = path
        stage, _, number = block[1:].partition("_")
        kind, _, branch = part.partition("_")
        prefix, last = ("res", last) if kind == "conv" else ("bn", kinds[last])
        names[key] = f"{store}:{prefix}{stage}{f'b{number}' if number else 'a'}_{branch}_{last}"
    return names


def write_mxnet(path, arrays, version):
    """A file of float32 arrays as MXNet of the first form or of version 1, 2 or 3 writes it."""
    parts = [struct.pack("<QQQ", 0x112, 0, len(arrays))]
    for array in arrays.values():
        shape = array.shape
        if version == 0:
            parts.append(struct.pack(f"<I{len(shape)}I", len(shape), *shape))
        else:
            parts.append(struct.pack("<I", {1: 0xF993FAC8, 2: 0xF993FAC9, 3: 0xF993FACA}[version]))
            parts.append(struct.pack("<i", 0) if version > 1 else b"")
            parts.append(struct.pack(f"<I{len(shape)}q", len(shape), *shape))
        parts += [struct.pack("<iii", 1, 0, 0), np.asarray(array, "<f4").tobytes()]
    parts.append(struct.pack("<Q", len(arrays)))
    parts += [struct.pack("<Q", len(name)) + name.encode() for name in arrays]
    path.write_bytes(b"".join(parts))
