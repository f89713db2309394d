"""Secrets come from files or the environment, and no command and no message shows one."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from endcap.deploy.cli import app
from endcap.deploy.settings import SECRETS, Settings, load_settings
from endcap.errors import SettingsError


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _shown() -> dict[str, dict[str, object]]:
    done = CliRunner().invoke(app, ["config", "show", "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_config_show_says_where_each_setting_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endcap.toml").write_text("partitions = 8\nlateness_s = 30\n")
    monkeypatch.setenv("ENDCAP_LATENESS_S", "90")
    shown = _shown()
    assert shown["partitions"] == {"value": 8, "source": "endcap.toml"}
    assert shown["lateness_s"] == {"value": 90, "source": "ENDCAP_LATENESS_S"}
    assert shown["topic_prefix"] == {"value": "endcap", "source": "default"}


def test_config_show_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDCAP_REDIS_URL", "rediss://ann:hush-1@store:6379/0")
    monkeypatch.setenv("ENDCAP_ERASURE_SECRET", "hush-2")
    monkeypatch.setenv("ENDCAP_SOURCES", '{"web": {"topic": "t", "registry_password": "hush-3"}}')
    (tmp_path / "pw").write_text("hush-4\n")
    monkeypatch.setenv("ENDCAP_KAFKA_PASSWORD_FILE", str(tmp_path / "pw"))
    monkeypatch.setenv("ENDCAP_KAFKA_USERNAME", "endcap-stream")
    monkeypatch.setenv("ENDCAP_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    for words in (["config", "show", "--json"], ["config", "show", "--all"]):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0
        assert "hush" not in done.output
    shown = _shown()
    assert shown["redis_url"]["value"] == "rediss://ann:***@store:6379/0"
    monkeypatch.setenv("ENDCAP_REDIS_URL", "redis://store:6379/0?password=hush-5&db=1")
    assert _shown()["redis_url"]["value"] == "redis://store:6379/0?password=***&db=1"
    assert shown["kafka_password"] == {"value": "***", "source": str(tmp_path / "pw")}
    assert "hush" not in repr(load_settings())


def test_every_secret_of_the_settings_may_come_from_a_file() -> None:
    typed = {name for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
    assert typed <= set(SECRETS)


def test_a_folder_of_secrets_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "erasure_secret").write_text("one\n")
    (folder / "endcap_shopper_token_secret").write_text("two")
    monkeypatch.setenv("ENDCAP_SECRETS_DIR", str(folder))
    settings = load_settings()
    assert settings.erasure_secret.get_secret_value() == "one"
    assert settings.shopper_token_secret.get_secret_value() == "two"


def test_a_secret_given_twice_or_in_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDCAP_KAFKA_PASSWORD_FILE", str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match=r"absent cannot be read"):
        load_settings()
    monkeypatch.setenv("ENDCAP_KAFKA_PASSWORD", "x")
    with pytest.raises(SettingsError, match=r"Both ENDCAP_KAFKA_PASSWORD and"):
        load_settings()
    monkeypatch.delenv("ENDCAP_KAFKA_PASSWORD_FILE")
    (tmp_path / "kafka_password").write_text("y")
    monkeypatch.setenv("ENDCAP_SECRETS_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match=r"ENDCAP_KAFKA_PASSWORD is set, and .*drop one"):
        load_settings()


def test_a_wrong_secret_is_not_repeated_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDCAP_REDIS_URL", "http://ann:hush@store")
    with pytest.raises(SettingsError, match="redis_url") as refused:
        load_settings()
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "given", ['{"web": "https://ann:hush@registry"}', '{"web": {"registry": "https://ann:hush@r"']
)
def test_a_wrong_source_is_named_without_what_it_holds(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDCAP_SOURCES", given)
    with pytest.raises(SettingsError, match="sources") as refused:
        load_settings()
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "needs kafka_username and kafka_password"),
        ({"kafka_username": "ann", "kafka_password": "x"}, "which uses neither"),
        ({"kafka_ca_file": "ca.pem"}, "without TLS"),
    ],
)
def test_security_of_kafka_that_contradicts_itself_is_refused(
    given: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        _ = load_settings(**given).broker
