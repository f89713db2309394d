"""Two onnxruntime packages overwrite each other silently: endcap says so."""

import pytest

from endcap.errors import RuntimeConflictError
from endcap.serving.onnx_session import check_runtimes, installed_runtimes


def test_both_packages_are_refused_with_what_to_do() -> None:
    with pytest.raises(RuntimeConflictError, match="pip uninstall"):
        check_runtimes(["onnxruntime", "onnxruntime-gpu"])


def test_none_is_refused_with_what_to_install() -> None:
    with pytest.raises(RuntimeConflictError, match="pip install"):
        check_runtimes([])


def test_this_installation_is_in_order() -> None:
    check_runtimes(installed_runtimes())
