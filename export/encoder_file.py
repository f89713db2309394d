"""The Transformer's weights beside a bundle: a student learns from them, serving needs them not.

Safetensors holds numbers and text alone: loading it runs nothing. The bundle's graph would not do:
its weights know validation too, which judges the student.
"""

from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from endcap.errors import BundleError
from endcap.export.encoder import EncoderOptions, SessionEncoder

ENCODER_FILE = "encoder.safetensors"


def store_encoder(
    folder: Path, weights: dict[str, torch.Tensor], options: EncoderOptions, learned_from: str
) -> None:
    """Write the weights; `learned_from`: the fingerprint of the events."""
    about = {"options": msgspec.json.encode(options).decode(), "learned_from": learned_from}
    # Not `save_file`: it leaves the file readable for its owner alone, whatever the umask.
    (folder / ENCODER_FILE).write_bytes(save(weights, metadata=about))


def load_encoder(folder: Path, n_items: int, learned_from: str) -> SessionEncoder:
    """The Transformer, ready to be asked.

    Raises:
        BundleError: the file is missing or no such file, or it learned from other events: it may
            have seen what will be asked.
    """
    path = folder / ENCODER_FILE
    try:
        with safe_open(path, framework="pt") as held:
            about = held.metadata() or {}
            names = list(held.keys())
            weights = {name: held.get_tensor(name) for name in names}
        options = msgspec.json.decode(about["options"], type=EncoderOptions)
    except (OSError, SafetensorError, KeyError, msgspec.DecodeError) as error:
        raise BundleError(
            f"{path} is not there or holds no Transformer ({error}). `endcap train` leaves it "
            "beside the bundle: train the teacher with this version, or copy the whole folder."
        ) from error
    if about.get("learned_from") != learned_from:
        raise BundleError(
            f"The teacher in {folder} learned from other events than this division of the data "
            "holds; it may have seen what its student will be asked. Name the same data, protocol "
            "and dates as when it was trained, or train it again."
        )
    encoder = SessionEncoder(n_items, options)
    encoder.load_state_dict(weights)
    return encoder.eval()
