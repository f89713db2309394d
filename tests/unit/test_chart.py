"""The Helm chart: what Kubernetes and its operators take, and what endcap itself takes."""

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_tools import CHART, KUBERNETES, tool, write_schemas

from endcap.deploy.secret_files import FOLDER
from endcap.deploy.settings import SECRETS, Settings
from endcap.topics import topics_with_prefix

NEEDED = ("--set", "kafka.bootstrapServers=broker:9092,existingSecret=shop")
ALL_OF_IT = (
    *NEEDED,
    *("--set", "segments.enabled=true,ingest.enabled=true,settings.generation=2"),
    *("--set", "settings.lateness_s=90,settings.http_rescore=true,keda.authenticationRef=kafka"),
    *("--set", "settings.sources.web.topic=clicks,settings.sources.web.adapter=segment"),
    *("--set", "model.existingClaim=models,model.current=/models/summer"),
    *(
        "--set",
        "model.shadow=/models/autumn,serve.ingress.enabled=true,serve.ingress.host=a.example",
    ),
    *("--set", "serve.ingress.tlsSecret=tls,serve.ingress.className=nginx"),
    *("--set-string", "stream.nodeSelector.disk=fast,monitoring.labels.release=prometheus"),
)


def rendered(*values: str) -> str:
    """Every document, by `helm template`."""
    ended = helm("template", "shop", str(CHART), "--kube-version", f"{KUBERNETES}.0", *values)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool("helm"), *words], capture_output=True, text=True)


def documents(*values: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(rendered(*values)) if each]


def pods(found: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and specification of each pod."""
    for each in found:
        if each["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def test_helm_finds_nothing_wrong_with_the_chart() -> None:
    ended = helm("lint", str(CHART), "--strict", *NEEDED)
    assert ended.returncode == 0, ended.stdout


def test_kubernetes_keda_and_the_prometheus_operator_take_every_document(tmp_path: Path) -> None:
    texts = [rendered(*ALL_OF_IT), rendered(*NEEDED, "--set", "model.image=models:1")]
    good = checked("---\n".join(texts), write_schemas(tmp_path))
    assert good.returncode == 0, good.stdout
    assert "Invalid: 0, Errors: 0, Skipped: 0" in good.stdout
    misspelt = texts[0].replace("minReplicaCount", "minReplicas").replace("whenScaled", "whenScale")
    bad = checked(misspelt, write_schemas(tmp_path))
    assert "Invalid: 4, Errors: 0, Skipped: 0" in bad.stdout  # two of each


def checked(documents: str, schemas: str) -> subprocess.CompletedProcess[str]:
    """What kubeconform says."""
    command = [tool("kubeconform"), "-strict", "-summary", "-schema-location", schemas]
    return subprocess.run(command, input=documents, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["shop-endcap", "shop-endcap-topics"])
def test_endcap_takes_the_settings_that_the_chart_writes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = [
        each
        for each in documents(*ALL_OF_IT)
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == name
    ]
    (tmp_path / "endcap.toml").write_text(found["data"]["endcap.toml"])
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert (settings.generation, settings.lateness_s, settings.partitions) == (2, 90, 12)
    assert settings.sources == {"web": {"topic": "clicks", "adapter": "segment"}}
    assert isinstance(tomllib.loads(found["data"]["endcap.toml"])["lateness_s"], int)


def test_each_variable_of_a_pod_is_a_setting_and_kubernetes_adds_none() -> None:
    known = {f"ENDCAP_{name.upper()}" for name in Settings.model_fields} | {FOLDER}
    for name, spec in pods(documents(*ALL_OF_IT)):
        (container,) = spec["containers"]
        assert {each["name"] for each in container["env"]} <= known, name
        # A Service named endcap-* would add ENDCAP_*_SERVICE_HOST, which endcap refuses.
        assert spec["enableServiceLinks"] is False, name


def test_no_secret_stands_in_an_environment_and_endcap_finds_each_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_environment = {f"ENDCAP_{name.upper()}" for name in SECRETS}
    for name, spec in pods(documents(*ALL_OF_IT)):
        (container,) = spec["containers"]
        environment = {each["name"]: each for each in container["env"]}
        assert in_environment.isdisjoint(environment), name
        assert not any("secretKeyRef" in each.get("valueFrom", {}) for each in environment.values())
        (mount,) = [each for each in container["volumeMounts"] if each["name"] == "secrets"]
        assert environment[FOLDER]["value"] == mount["mountPath"], name
        assert mount["readOnly"] is True, name
        (volume,) = [each for each in spec["volumes"] if each["name"] == "secrets"]
        assert volume["projected"]["defaultMode"] == 0o440, name
        # Root's files: the pod's user reads them as a member of this group.
        assert spec["securityContext"]["fsGroup"] == container["securityContext"]["runAsGroup"]
        of_the_pod = [each["secret"] for each in volume["projected"]["sources"]]
    for secret in of_the_pod:
        for item in secret["items"]:
            (tmp_path / item["path"]).write_text(f"redis://{item['key']}\n")
    required = {i["key"] for s in of_the_pod if not s.get("optional") for i in s["items"]}
    assert required == {"redis-url", "erasure-secret"}
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv("ENDCAP_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("ENDCAP_KAFKA_USERNAME", "endcap")
    settings = Settings()
    assert settings.redis_url == "redis://redis-url"
    for name in set(SECRETS) - {"redis_url"}:
        held = getattr(settings, name).get_secret_value()
        assert held == f"redis://{name.replace('_', '-')}"


def test_no_pod_runs_as_root_or_writes_outside_its_volumes() -> None:
    for name, spec in pods(documents(*ALL_OF_IT)):
        assert spec["automountServiceAccountToken"] is False, name
        for container in (*spec["containers"], *spec.get("initContainers", [])):
            security = container["securityContext"]
            assert security["runAsNonRoot"] is True, name
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert {"requests", "limits"} <= container["resources"].keys(), name


def test_a_process_is_scaled_by_the_lag_of_its_own_group_and_topic() -> None:
    settings = Settings(generation=2)
    topics = topics_with_prefix("endcap", 2)
    asked = {
        each["spec"]["scaleTargetRef"]["name"]: each["spec"]["triggers"][0]["metadata"]
        for each in documents(*ALL_OF_IT)
        if each["kind"] == "ScaledObject"
    }
    of_stream, of_rescore = asked["shop-endcap-stream"], asked["shop-endcap-rescore"]
    assert of_stream["consumerGroup"] == settings.stream_group
    assert of_stream["topic"] == topics.events.name
    assert of_rescore["consumerGroup"] == settings.group("rescore")
    assert of_rescore["topic"] == topics.sessions.name


def test_another_model_on_the_volume_changes_no_pod() -> None:
    other = (*ALL_OF_IT, "--set", "model.current=/models/winter")
    before, after = dict(pods(documents(*ALL_OF_IT))), dict(pods(documents(*other)))
    assert before == after
    assert "/models/winter" in rendered(*other)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("trends.replicas=2", "trends"),
        ("rescore.replica=3", "replica"),
        ("settings.redis_url=redis://x", "settings"),
        ("kafka.bootstrapServers=broker", "bootstrapServers"),
        ("model.current=/models/summer", "existingClaim"),
    ],
)
def test_a_wrong_value_is_named_before_anything_is_installed(value: str, says: str) -> None:
    ended = helm(
        *("template", "shop", str(CHART), "--kube-version", f"{KUBERNETES}.0", *NEEDED),
        *("--set", value),
    )
    assert ended.returncode != 0
    assert says in ended.stderr


def test_without_a_secret_the_chart_says_what_to_name() -> None:
    ended = helm("template", "shop", str(CHART), "--kube-version", f"{KUBERNETES}.0")
    assert ended.returncode != 0
    assert "name" in ended.stderr
    assert "kafka.bootstrapServers" in ended.stderr or "existingSecret" in ended.stderr
