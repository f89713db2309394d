"""compose.yaml and the image: what Compose takes, and what endcap takes."""

import re
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml
from deploy_tools import COMPOSE, tool

from endcap.deploy.compiled import PARTS, missing
from endcap.deploy.settings import Settings

PROCESSES = {"stream", "trends", "rescore", "serve", "segments", "ingest"}
OURS = PROCESSES | {"topics", "segments-build", "cli"}
DOCKERFILE = Path("deploy/docker/Dockerfile")


def config() -> dict[str, Any]:
    """The file as Compose understands it: `docker compose config`, else its own loader."""
    docker = shutil.which("docker")
    words = [docker, "compose", "--profile", "*", "-f", str(COMPOSE), "config"] if docker else []
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        words = [tool("compose-go"), str(COMPOSE)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = yaml.safe_load(ended.stdout)
    return found


def test_compose_takes_the_file_and_knows_when_each_process_is_well() -> None:
    services = config()["services"]
    assert OURS | {"kafka", "valkey", "prometheus", "grafana"} <= services.keys()
    for name, service in services.items():
        if name not in {"topics", "segments-build", "cli"}:
            assert service["healthcheck"]["test"], name


def test_no_process_of_ours_is_root_or_writes_outside_its_volumes() -> None:
    services = config()["services"]
    for name in OURS:
        service = services[name]
        assert service["user"] == "10001:10001", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_nothing_is_reached_from_another_machine() -> None:
    for name, service in config()["services"].items():
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1", name


def test_each_variable_is_a_setting_of_endcap() -> None:
    known = {f"ENDCAP_{name.upper()}" for name in Settings.model_fields}
    services = config()["services"]
    for name in OURS:
        given = {each for each in services[name]["environment"] if each.startswith("ENDCAP_")}
        assert given <= known, name


def test_prometheus_scrapes_each_process_at_its_port_and_the_health_checks_ask_there() -> None:
    services = config()["services"]
    scraped = yaml.safe_load((COMPOSE.parent / "compose" / "prometheus.yml").read_text())
    targets = set()
    for each in scraped["scrape_configs"]:
        for fixed in each.get("static_configs", ()):
            targets.update(fixed["targets"])
        for looked_up in each.get("dns_sd_configs", ()):
            targets.update(f"{name}:{looked_up['port']}" for name in looked_up["names"])
    asked = set()
    for name in PROCESSES:
        (port,) = re.findall(r":(\d+)/", services[name]["healthcheck"]["test"][-1])
        assert port in services[name]["command"], name
        asked.add(f"{name}:{port}")
    assert targets == asked


def test_images_are_named_by_a_version() -> None:
    images = [service["image"] for service in config()["services"].values()]
    images += re.findall(r"^FROM (python:\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    for image in images:
        assert ":" in image
        assert not image.endswith(":latest")


def test_the_image_ends_as_a_user_without_rights_and_holds_no_secret() -> None:
    text = DOCKERFILE.read_text()
    runtime = text[text.index(" AS runtime") :]
    assert re.findall(r"^USER (\S+)", runtime, re.MULTILINE) == ["10001:10001"]
    assert not re.search(r"(PASSWORD|SECRET|TOKEN|API_KEY)\s*=", text)


def test_the_build_needs_every_compiled_part() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())
    built = {each["name"] for each in project["tool"]["setuptools"]["ext-modules"]}
    assert set(PARTS) == built
    assert "endcap.deploy.compiled" in DOCKERFILE.read_text()
    assert missing() == []


def test_what_the_package_is_made_of_goes_into_the_build_and_secrets_do_not() -> None:
    rules = [line for line in Path(".dockerignore").read_text().split("\n") if line[:1] not in "#"]

    def goes(path: str) -> bool:
        kept = True
        for rule in rules:
            pattern = rule.removeprefix("!")
            below = fnmatch(path, f"{pattern}/*") or fnmatch(path, pattern)
            anywhere = pattern.startswith("**/") and fnmatch(path.split("/")[-1], pattern[3:])
            if pattern == "**" or below or anywhere:
                kept = rule.startswith("!")
        return kept

    project = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["setuptools"]
    sources = [file for each in project["ext-modules"] for file in each["sources"]]
    for path in (*sources, "pyproject.toml", "constraints.txt", "deploy/bundles/a/model.onnx"):
        assert goes(path), path
    for path in (".git/config", "endcap.toml", "deploy/.env", "runs/keys.toml", "tls.key"):
        assert not goes(path), path
