"""The text of .proto files compiled, by the protoc that grpcio-tools carries.

Text is the one form that every registry hands out (docs/decisions/0011).
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from endcap.errors import DataError
from endcap.streams.protobuf_format import read_set

_COMPILE_S = 30.0


def compile_proto(name: str, texts: Mapping[str, str]) -> list[FileDescriptorProto]:
    """The file `name` and all that it imports; `texts` holds it and its references by their names.

    In a process of its own: a schema of somebody else's must not end ours.

    Raises:
        DataError: protoc refuses it, with what it says.
    """
    with tempfile.TemporaryDirectory(prefix="endcap-proto-") as folder:
        sources, out = Path(folder, "sources").resolve(), Path(folder, "set")
        for each, text in texts.items():
            path = (sources / each).resolve()
            if not path.is_relative_to(sources):
                raise DataError(f"The reference {each} leads out of the folder of its schema.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"--proto_path={sources}",
            "--include_imports",
            f"--descriptor_set_out={out}",
            name,
        ]
        try:
            ended = subprocess.run(
                command, capture_output=True, text=True, timeout=_COMPILE_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise DataError(f"protoc did not end within {_COMPILE_S:.0f} s.") from error
        if ended.returncode:
            raise DataError(f"protoc refuses the schema: {ended.stderr.strip()}")
        return read_set(out.read_bytes())
