"""A wrong source is named with its right form before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from endcap.deploy.settings import load_settings
from endcap.deploy.sources import open_sources
from endcap.errors import EndcapError, SettingsError


def opened(**sources: dict[str, Any]) -> Any:
    return open_sources(load_settings(sources=sources))


def test_sources_stand_in_endcap_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "endcap.toml").write_text(
        '[sources.clicks]\ntopic = "shop.clicks"\nadapter = "ourshop"\nformat = "avro"\n'
        'registry = "http://registry:8081"\n'
        '[sources.rows]\ntopic = "shop.rows"\nadapter = "rees46"\n'
        '[adapters.ourshop]\nuser = "u"\nitem = "i"\ntype = "t"\ntime = "at"\ntypes = {}\n'
    )
    found = open_sources(load_settings())
    assert [(source.name, source.topic) for source in found.sources] == [
        ("clicks", "shop.clicks"),
        ("rows", "shop.rows"),
    ]
    assert list(found.registries) == ["http://registry:8081"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({}, "missing required field `topic`"),
        ({"topic": "t", "topik": "x"}, "unknown field `topik`"),
        ({"topic": "endcap.events"}, "belongs to endcap itself"),
        ({"topic": "t", "adapter": "sergment"}, "no adapter sergment"),
        ({"topic": "t", "format": "xml"}, "format is 'xml'; known: avro, csv, json, protobuf"),
        ({"topic": "t", "format": "csv"}, "needs columns"),
        ({"topic": "t", "format": "json", "columns": ["a"]}, "columns need format"),
        ({"topic": "t", "registry": "http://r"}, "need format"),
        ({"topic": "t", "format": "avro"}, "either registry"),
        ({"topic": "t", "format": "avro", "registry": "http://r", "schema": "x"}, "either"),
        ({"topic": "t", "format": "avro", "registry": "registry:8081"}, "must be a URL"),
        ({"topic": "t", "format": "avro", "schema": "no.avsc"}, r"no\.avsc.*cannot be read"),
        ({"topic": "t", "format": "avro", "schema": "/dev/null"}, "Avro schema cannot be read"),
        ({"topic": "t", "format": "protobuf", "schema": "/dev/null"}, "needs message"),
        (
            {"topic": "t", "format": "protobuf", "schema": "/dev/null", "message": "a.B"},
            "FileDescriptorSet",
        ),
        ({"topic": "t", "format": "avro", "schema": "/dev/null", "message": "a.B"}, "message is"),
    ],
)
def test_a_wrong_source_is_named(source: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=f"(?s)source bad.*{says}"):
        opened(bad=source)


def test_two_sources_cannot_share_a_topic_and_none_are_too_few() -> None:
    with pytest.raises(SettingsError, match="belongs to the source a"):
        opened(a={"topic": "t"}, b={"topic": "t"})
    with pytest.raises(EndcapError, match=r"\[sources\.clicks\]"):
        opened()
