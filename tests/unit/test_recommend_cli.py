"""`endcap recommend` as a person runs it: a process, its output and its exit code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from endcap.deploy.settings import DEMO_BUNDLE

# A machine with endcap[demo] alone: an import of any of these would raise ImportError.
_WITHOUT_TORCH = (
    "import sys\n"
    "for name in ('torch', 'transformers', 'optimum', 'tokenizers', 'wordfreq'):\n"
    "    sys.modules[name] = None\n"
    "from endcap.deploy.cli import main\n"
    "main()\n"
)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, "recommend", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_words_become_a_list_without_torch() -> None:
    done = run("I bought milk, some bananna and a laptop.", "--json", "--top", "5")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [each["phrase"] for each in told["understood"]] == ["milk", "banana"]
    assert all(0 < each["similarity"] <= 1 for each in told["understood"])
    assert told["nothing_like"] == ["laptop"]
    named = [each["items"][0]["id"] for each in told["understood"]]
    assert told["from"] == named
    listed = [item["id"] for item in told["items"]]
    assert len(listed) == len(set(listed)) == 5
    assert not set(listed) & set(named)
    assert all(item["reason"] and item["title"] for item in told["items"])


def test_without_a_bundle_named_it_says_which_one_answers(tmp_path: Path) -> None:
    says = "The demo's bundle answers (completejourney); --bundle FOLDER or ENDCAP_BUNDLE names"
    done = run("butter", "--json")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    folder = shutil.copytree(DEMO_BUNDLE, tmp_path / "ours")
    named = run("butter", "--json", "--bundle", str(folder))
    assert named.stderr == ""
    assert named.stdout == done.stdout
    by_settings = run("butter", "--json", ENDCAP_BUNDLE=str(folder))
    assert f"The bundle in {folder} answers (completejourney);" in by_settings.stderr


def test_item_ids_become_the_same_list_as_the_words_that_name_them() -> None:
    by_words = json.loads(run("bananas, butter", "--json").stdout)
    by_id = json.loads(run("--items", ",".join(by_words["from"]), "--json").stdout)
    assert by_id["items"] == by_words["items"]
    assert by_id["understood"] == []


def test_a_catalogue_without_anything_like_it_says_so() -> None:
    done = run("I bought a laptop, a mouse, and a keyboard.")
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert 'has nothing like "laptop", "mouse", "keyboard"' in said
    told = run("I bought a laptop, a mouse, and a keyboard.", "--json")
    assert told.returncode == 1
    assert json.loads(told.stdout)["items"] == []
    assert json.loads(told.stdout)["nothing_like"] == ["laptop", "mouse", "keyboard"]


def test_people_read_what_was_understood() -> None:
    said = " ".join(run("butter and a piano").stderr.split())
    assert "butter -> Butter, 1 lb" in said
    assert "similarity 0.9" in said
    assert "piano -> the catalogue has nothing like it" in said


def test_an_unknown_item_is_named_with_the_nearest() -> None:
    done = run("--items", "1082185,10821850")
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "The item 10821850 is not in this bundle" in said
    assert "1082185 (Bananas)" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), 'Say what was bought ("milk and eggs"), or give its ids by --items A,B.'),
        (("milk", "--items", "1082185"), "Words and --items name the items twice: give one"),
        (("I would like to have some",), "names no item"),
        (("milk", "--bundle", "nowhere"), "endcap train"),
    ],
)
def test_what_cannot_be_answered_says_what_to_do(arguments: tuple[str, ...], says: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
