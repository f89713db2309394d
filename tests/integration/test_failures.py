"""What a person reads when something is wrong: the command's exit code and message."""

import shutil
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest
from command_line import ENDCAP, endcap

from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.settings import BUNDLES


def test_a_missing_broker_is_named_with_what_to_do() -> None:
    ended = endcap("stream", ENDCAP_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_ports(1)[0]}")
    assert ended.returncode == 1
    assert "No Kafka broker answers at 127.0.0.1:" in ended.stderr
    assert "ENDCAP_KAFKA_BOOTSTRAP_SERVERS" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_busy_port_is_named_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = endcap("demo", "--http-port", port)
        assert ended.returncode == 1
        assert f"Port {port} on 127.0.0.1 is taken" in ended.stderr
        ended = endcap("stream", "--metrics-port", port)
        assert f"Port {port} on 127.0.0.1 is taken" in ended.stderr


def test_a_flipped_byte_stops_the_rescorer(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(BUNDLES / "completejourney", folder)
    raw = bytearray((folder / "model.onnx").read_bytes())
    raw[1000] ^= 1
    (folder / "model.onnx").write_bytes(raw)
    ended = endcap("rescore", "--bundle", folder)
    assert ended.returncode == 1
    assert "model.onnx is not the file its manifest describes" in ended.stderr


def test_an_unknown_setting_is_named() -> None:
    ended = endcap("stream", ENDCAP_BROKER="x")
    assert ended.returncode == 1
    assert "The setting ENDCAP_BROKER is unknown" in ended.stderr


def test_both_onnxruntime_packages_at_once_are_refused(tmp_path: Path) -> None:
    second = tmp_path / "onnxruntime_gpu-1.31.1.dist-info"
    second.mkdir()
    (second / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1\n")
    ended = endcap("rescore", PYTHONPATH=str(tmp_path))
    assert ended.returncode == 1
    assert "Both onnxruntime and onnxruntime-gpu are installed" in ended.stderr
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in ended.stderr


@pytest.mark.integration
@pytest.mark.timeout(400)  # it imports the whole history first
def test_ctrl_c_in_the_middle_leaves_no_process_and_no_port() -> None:
    demo = subprocess.Popen(
        [*ENDCAP, "demo", "--http-port", str(free_ports(1)[0])],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stderr is not None
    for line in demo.stderr:
        if "The storefront is at" in line:
            break
    parent = psutil.Process(demo.pid)
    children = parent.children(recursive=True)
    ports = {
        connection.laddr.port
        for process in [parent, *children]
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(children) >= 6  # broker, Valkey, three workers, HTTP
    assert len(ports) >= 3
    demo.send_signal(signal.SIGINT)
    demo.stderr.read()
    demo.wait(timeout=60)
    assert [process for process in children if process.is_running()] == []
    assert [port for port in ports if is_open(port)] == []
