"""What is said of an extension that cannot be loaded."""

from pathlib import Path

import pytest

from endcap.errors import SettingsError
from endcap.streams.trends_extensions import load_extensions


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_module_s_register_or_a_named_function_is_loaded(folder: Path) -> None:
    (folder / "both_ways.py").write_text(
        "def register(app, topics): return 1\ndef other(app, topics): return 2\n"
    )
    loaded = load_extensions(["both_ways", "both_ways:other"])
    assert [register.__name__ for register in loaded] == ["register", "other"]


def test_a_module_that_is_missing_is_named() -> None:
    with pytest.raises(SettingsError, match="no_such_shop is not installed here"):
        load_extensions(["no_such_shop.agents"])


def test_a_module_that_an_extension_lacks_is_named(folder: Path) -> None:
    (folder / "needs_more.py").write_text("import no_such_library\n")
    with pytest.raises(SettingsError, match="no_such_library is not installed here"):
        load_extensions(["needs_more"])


def test_a_function_that_is_missing_is_named(folder: Path) -> None:
    (folder / "empty_module.py").write_text("")
    with pytest.raises(SettingsError, match=r"empty_module has no function register"):
        load_extensions(["empty_module"])
    with pytest.raises(SettingsError, match=r"empty_module has no function mine"):
        load_extensions(["empty_module:mine"])
