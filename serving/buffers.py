"""Arrays that a graph's inputs and outputs are bound to, allotted once and used call after call."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

Array = npt.NDArray[Any]
_PLUG_IN = "endcap-cuda"


class Buffer(Protocol):
    """`host`: the array to write to or read from; `value`: what the graph is bound to."""

    host: Array
    value: Any

    def send(self) -> None:
        """What is in `host` is there for the graph."""

    def fetch(self) -> None:
        """What the graph wrote is in `host`."""


Allot = Callable[[Array], Buffer]
"""A buffer of an array's shape and type."""


class CpuBuffer:
    """The graph reads and writes `host` itself."""

    def __init__(self, like: Array) -> None:
        self.host = np.zeros_like(like)
        self.value = onnxruntime.OrtValue.ortvalue_from_numpy(self.host)

    def send(self) -> None:
        """It is there."""

    def fetch(self) -> None:
        """It is there."""


class CudaBuffer:
    """On the first GPU; `host` is page-locked where that is to be had, which takes a quarter of
    the time to copy."""

    def __init__(self, like: Array) -> None:
        memory = page_locked_memory()
        self._locked = memory and onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            like.shape, like.dtype, memory_info=memory
        )
        # Page-locked values lie on the host, and `numpy` gives the memory itself.
        self.host = self._locked.numpy() if self._locked else np.zeros_like(like)
        self.host[:] = 0
        self.value = onnxruntime.OrtValue.ortvalue_from_numpy(self.host, "cuda", 0)

    def send(self) -> None:
        """Copy to the GPU."""
        self.value.update_inplace(self.host)

    def fetch(self) -> None:
        """Copy from the GPU."""
        if self._locked:
            onnxruntime.copy_tensors([self.value], [self._locked])
        else:
            self.host[:] = self.value.numpy()


@cache
def page_locked_memory() -> Any | None:
    """Where ONNX Runtime allots it; None where it offers none.

    Only a provider that is registered as a plug-in names its memory, and the library of the CUDA
    provider is one too.
    """
    library = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    if not library.exists() or not hasattr(onnxruntime, "register_execution_provider_library"):
        return None
    try:
        onnxruntime.register_execution_provider_library(_PLUG_IN, str(library))
        kind = onnxruntime.OrtDeviceMemoryType.HOST_ACCESSIBLE
        found = (each.memory_info(kind) for each in onnxruntime.get_ep_devices())
        return next((memory for memory in found if memory is not None), None)
    except (RuntimeError, AttributeError):
        return None
