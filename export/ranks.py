"""Processes that train together, as torchrun starts them; and the device of each."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from endcap.errors import EndcapError, SettingsError

_LONGEST_WAIT = timedelta(hours=2)
"""For the leader, who measures and writes. A process that died ends the wait at once."""

T = TypeVar("T")


class Ranks(NamedTuple):
    """This process among `size`; `rank` 0 leads: it alone measures, writes and speaks."""

    device: torch.device = torch.device("cpu")
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Exactly one does."""
        return self.rank == 0

    def as_words(self) -> str:
        """For people, and for checkpoints: what changes the last digits of the weights."""
        kind = "the CPU" if self.device.type == "cpu" else "a GPU"
        return kind if self.size == 1 else f"{kind}, {self.size} processes"

    def mean_gradients(
        self, parameters: Sequence[nn.Parameter], loss: float, n: int
    ) -> tuple[float, int]:
        """Gradients become those of all processes' answers together, as the loss does.

        `loss` is the mean over the `n` answers of this process; so are its gradients. Returns the
        mean loss over all, and how many there were.
        """
        if self.size == 1:
            return loss, n
        parts = [
            torch.zeros(p.numel(), device=self.device) if p.grad is None else p.grad.flatten() * n
            for p in parameters
        ]
        flat = torch.cat([*parts, torch.tensor([loss * n, n], device=self.device)])
        _together(lambda: dist.all_reduce(flat))
        total = int(flat[-1].item())
        flat /= max(1, total)
        sizes = [parameter.numel() for parameter in parameters]
        gradients = torch.split(flat[:-2], sizes)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.view_as(parameter)
        return float(flat[-2].item()), total

    def from_leader(self, value: T) -> T:
        """The leader's `value`, for all."""
        if self.size == 1:
            return value
        held = [value]
        _together(lambda: dist.broadcast_object_list(held, src=0, device=self.device))
        return held[0]


ALONE = Ranks()


def ranks_here(device: str) -> Ranks:
    """What torchrun says of this process, on the device wished for: auto, cpu or cuda.

    Raises:
        SettingsError: there is no such device, or fewer GPUs than processes.
    """
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    return Ranks(_device(device, int(os.environ.get("LOCAL_RANK", "0"))), rank, size)


@contextmanager
def joined(ranks: Ranks) -> Iterator[None]:
    """The processes can reach one another within: by NCCL between GPUs, by Gloo on CPUs.

    Raises:
        EndcapError: one of the others has ended or cannot be reached.
    """
    if ranks.size == 1:
        yield
        return
    if ranks.device.type == "cuda":
        torch.cuda.set_device(ranks.device)
    backend = "nccl" if ranks.device.type == "cuda" else "gloo"
    _together(lambda: dist.init_process_group(backend, timeout=_LONGEST_WAIT))
    try:
        yield
    finally:
        dist.destroy_process_group()


def _device(wish: str, local_rank: int) -> torch.device:
    if wish not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"--device {wish}: it is auto, cpu or cuda.")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wish == "cpu" or (wish == "auto" and not gpus):
        return torch.device("cpu")
    if not gpus:
        raise SettingsError(
            f"--device cuda: torch {torch.__version__} finds no GPU here. Use --device cpu, or "
            "install the driver and a torch that was built for it."
        )
    if local_rank >= gpus:
        raise SettingsError(
            f"Process {local_rank} of this machine has no GPU: there are {gpus}. Start torchrun "
            f"with --nproc-per-node {gpus}, or train with --device cpu."
        )
    return torch.device("cuda", local_rank)


def _together(act: Callable[[], Any]) -> None:
    try:
        act()
    except (RuntimeError, ValueError) as error:
        raise EndcapError(
            "Another process of this training has ended or cannot be reached; its own message says "
            f"why. Call the same command again to go on from the last checkpoint. ({error})"
        ) from error
