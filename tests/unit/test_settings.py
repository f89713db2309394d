"""A wrong setting is named with its right form before anything starts."""

import pytest

from endcap.deploy.settings import load_settings
from endcap.errors import SettingsError


def test_an_unknown_setting_is_named_with_the_closest_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENDCAP_REDIS_ULR", "redis://x")
    with pytest.raises(SettingsError, match=r"ENDCAP_REDIS_ULR is unknown.*ENDCAP_REDIS_URL"):
        load_settings()


def test_an_unknown_setting_in_the_file_is_named(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    with open("endcap.toml", "w") as file:
        file.write("partitons = 3\n")
    with pytest.raises(SettingsError, match=r"partitons is unknown.*partitions"):
        load_settings()


def test_a_setting_of_the_wrong_form_says_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDCAP_HTTP_PORT", "eighty")
    with pytest.raises(SettingsError, match=r"http_port is 'eighty'.*ENDCAP_HTTP_PORT"):
        load_settings()


def test_flags_beat_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDCAP_PARTITIONS", "3")
    assert load_settings().partitions == 3
    assert load_settings(partitions=5).partitions == 5


def test_extensions_stand_in_one_line_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDCAP_TRENDS_EXTENSIONS", "ourshop.agents, ourshop.more:start")
    assert load_settings().trends_extensions == ["ourshop.agents", "ourshop.more:start"]


def test_a_window_that_hops_over_hours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDCAP_TRENDS_HOP_H", "48")
    with pytest.raises(SettingsError, match=r"trends_hop_h is '48'.*24 hours cannot hop by more"):
        load_settings()


def test_a_gpu_is_asked_for_and_by_default_not_required(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load_settings(provider="cuda").provider_required
    monkeypatch.setenv("ENDCAP_PROVIDER_REQUIRED", "true")
    assert load_settings().provider_required
