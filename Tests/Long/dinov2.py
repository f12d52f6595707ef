"""DINOv2 against another implementation with the same weights: that of transformers (version 5: pip install torch transformers safetensors).

    python3 Tests/Long/dinov2.py [--size s b l] [--registers 0 4]

For each size, random weights of the published shapes and names are written as the published files are; `transcend prepare --features`
stores the features of some pictures, and transformers computes them from the same weights. The network sees 37 x 37 patches, so
that its table of positions is used as it is. Features are stored in float16, which rounds to 2^-11 of a number.

TRANSCEND is the program, else that of the build.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("TRANSCEND", str(ROOT / ".build/release/transcend"))
SIZES = {"s": (12, 384, 6), "b": (12, 768, 12), "l": (24, 1024, 16)}
MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def published(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The names of the published files instead of transformers'."""
    names = {"embeddings.cls_token": "cls_token", "embeddings.mask_token": "mask_token",
             "embeddings.position_embeddings": "pos_embed", "embeddings.register_tokens": "register_tokens",
             "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
             "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
             "layernorm.weight": "norm.weight", "layernorm.bias": "norm.bias"}
    result = {}
    for name, tensor in state.items():
        if not name.startswith("encoder.layer."):
            result[names[name]] = tensor
            continue
        index, part = name.removeprefix("encoder.layer.").split(".", 1)
        for old, new in [("attention.o_proj", "attn.proj"), ("layer_scale1.lambda1", "ls1.gamma"),
                         ("layer_scale2.lambda1", "ls2.gamma")]:
            part = part.replace(old, new)
        if part.startswith("attention."):
            continue
        result[f"blocks.{index}.{part}"] = tensor
        for kind in ("weight", "bias"):
            rows = [state[f"encoder.layer.{index}.attention.{x}_proj.{kind}"] for x in "qkv"]
            result[f"blocks.{index}.attn.qkv.{kind}"] = torch.cat(rows)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", nargs="+", default=["s", "b"], choices=SIZES)
    parser.add_argument("--registers", nargs="+", type=int, default=[0, 4])
    arguments = parser.parse_args()
    torch.manual_seed(0)
    for size in arguments.size:
        for registers in arguments.registers:
            compare(size, registers)


def compare(size: str, registers: int) -> None:
    depth, width, heads = SIZES[size]
    shape = dict(hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads, image_size=518, patch_size=14)
    network = (Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**shape, num_register_tokens=registers)) if registers
               else Dinov2Model(Dinov2Config(**shape)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    network.eval()
    with tempfile.TemporaryDirectory() as folder:
        suffix = f"_reg{registers}" if registers else ""
        weights = f"{folder}/dinov2_vit{size}14{suffix}_pretrain.pth"
        torch.save(published(network.state_dict()), weights)
        pixels = numpy.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=numpy.uint8)
        (Path(folder) / "images/a").mkdir(parents=True)
        for index, image in enumerate(pixels):
            Image.fromarray(image).save(f"{folder}/images/a/{index}.png")
        subprocess.run([PROGRAM, "prepare", "--data", f"{folder}/images", "--mode", "pixels", "--resolution", "64", "--features",
                        weights, "--feature-grid", "37", "--out", f"{folder}/store"], check=True, capture_output=True)
        ours = load_file(f"{folder}/store/shard-00000.safetensors")["features.0"].float()
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).double() / 255
    x = (x - MEAN.view(1, 3, 1, 1)) / DEVIATION.view(1, 3, 1, 1)
    x = torch.nn.functional.interpolate(x, 518, mode="bicubic")
    with torch.no_grad():
        theirs = network.double()(x).last_hidden_state[:, 1 + registers:].float()
    error = ((ours - theirs).norm() / theirs.norm()).item()
    print(f"size {size}, {registers} registers: {list(ours.shape)}, relative error {error:.1e}, "
          f"largest {(ours - theirs).abs().max().item():.1e} of {theirs.abs().max().item():.1f}", flush=True)
    assert ours.shape == theirs.shape and error < 4e-4, "the features differ"


main()
