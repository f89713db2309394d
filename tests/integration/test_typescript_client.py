"""The TypeScript client's own tests, in Node, on a real Valkey and a real cluster."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from own_valkey import OwnValkey
from redis_users import DOCS, READER, as_user, make_users
from valkey_cluster import ValkeyCluster

from endcap.deploy.local_stack import default_cache_dir

PACKAGE = Path(__file__).parents[2] / "deploy" / "clients" / "typescript"
OLDEST_NODE = 20


def _node_is_missing() -> bool:
    if not (shutil.which("node") and shutil.which("npm")):
        return True
    found = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return int(found.stdout.removeprefix("v").split(".")[0]) < OLDEST_NODE


pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        _node_is_missing(),
        reason=f"TypeScript client: no Node {OLDEST_NODE} or later with npm on the path",
    ),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package compiled in strict mode, beside node_modules that are fetched once."""
    folder = tmp_path_factory.mktemp("npm") / "typescript"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("node_modules", "dist", "build"))
    (folder / "node_modules").symlink_to(_node_modules())
    _run(folder, "node_modules/.bin/tsc")
    return folder


def _node_modules() -> Path:
    package = (PACKAGE / "package.json").read_bytes()
    folder = default_cache_dir() / f"npm-{hashlib.sha256(package).hexdigest()[:12]}"
    if not folder.exists():
        unfinished = folder.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for name in ("package.json", ".npmrc"):
            shutil.copy(PACKAGE / name, unfinished)
        _run(unfinished, "npm", "install", "--ignore-scripts", "--prefer-offline")
        unfinished.rename(folder)
    return folder / "node_modules"


def _run(folder: Path, *command: str, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_it_keeps_the_contract_in_node(
    built: Path, tmp_path: Path, valkey_cluster: ValkeyCluster
) -> None:
    valkey = OwnValkey(tmp_path)
    try:
        make_users(valkey.url)
        tests = sorted(str(path.relative_to(built)) for path in built.glob("build/test/*.test.js"))
        _run(
            built,
            *("node", "--test", "--test-timeout=30000", *tests),
            ENDCAP_TEST_VALKEY=valkey.url,
            ENDCAP_TEST_READER=as_user(valkey.url, READER),
            ENDCAP_TEST_CLUSTER=",".join(valkey_cluster.urls),
            ENDCAP_TEST_CLUSTER_PIDS=",".join(str(node.pid) for node in valkey_cluster.nodes),
        )
    finally:
        valkey.stop()


def test_npm_packs_what_a_page_needs_and_what_the_documentation_shows_compiles_with_it(
    built: Path,
) -> None:
    packed = _run(built, "npm", "pack", "--dry-run", "--json", "--loglevel=error")
    assert "dist/index.js" in packed
    assert "dist/index.d.ts" in packed
    assert "test/" not in packed
    blocks = [
        block
        for page in ("redis.md", "quickstart-web.md")
        for block in re.findall(r"```ts\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    ]
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        (built / "src" / f"shown-{number}.ts").write_text(block)
    # By its own name the package finds what `exports` leads to.
    _run(built, "node_modules/.bin/tsc", "--noEmit")
