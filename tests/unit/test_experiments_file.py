"""`experiments.yaml`: what it may say, and that each mistake is told with its line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from endcap.deploy.cli import app
from endcap.deploy.experiments_file import bundle_of, find_experiment, read_experiments
from endcap.deploy.models_file import Models, Named
from endcap.deploy.settings import DEMO_BUNDLE
from endcap.errors import BundleError, SettingsError
from endcap.experiments import HOLDOUT, Explore, variant_of
from endcap.pseudonyms import pseudonym
from endcap.yaml_lines import FileMistakesError

GOOD = """\
explore: {epsilon: 0.1, places: [4, 5]}
experiments:
  - name: summer
    start: 2026-01-01
    end: 2100-01-01T06:00+02:00
    holdout: 0.05
    variants:
      - {name: control, share: 0.475}
      - name: new-model
        share: 0.475
        model: previous
  - name: slate
    start: 2026-01-01
    end: 2100-01-01
    control: seven
    variants:
      - {name: twenty, share: 0.5}
      - {name: seven, share: 0.5, policy: {size: 7, per_category: 2}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "experiments.yaml"
    monkeypatch.setenv("ENDCAP_EXPERIMENTS_FILE", str(path))
    return path


def test_a_file_says_who_gets_what(file: Path) -> None:
    file.write_text(GOOD)
    shop = read_experiments(file)
    summer, slate = shop.experiments
    assert shop.explore == Explore(0.1, (4, 5))
    assert summer.shares == {"control": 0.475, "new-model": 0.475, HOLDOUT: 0.05}
    assert (summer.compared_with, slate.compared_with) == ("control", "seven")
    assert summer.end_ms - slate.end_ms == 4 * 3600 * 1000
    assert slate.variants[1].policy == {"size": 7, "per_category": 2}


@pytest.mark.parametrize("text", ["", "# nothing yet", "experiments: []"])
def test_no_file_and_an_empty_one_have_no_experiment(file: Path, text: str) -> None:
    assert read_experiments(file).experiments == ()
    file.write_text(text)
    assert read_experiments(file).experiments == ()


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("epsilon: 0.1", "epsilon: 1.1", "line 1: explore.epsilon: Expected `float` <= 1.0"),
        ("[4, 5]", "[4, 4]", "line 1: a place is named twice"),
        ("name: summer", "name: Summer time", "line 3: experiments.0.name: Expected `str` match"),
        (
            "start: 2026-01-01\n    end: 2100-01-01T",
            "start: soon\n    end: 2100-01-01T",
            "line 4: ",
        ),
        ("end: 2100-01-01T06:00+02:00", "end: 2025-01-01", "line 5: 2025-01-01 is not after"),
        ("holdout: 0.05", "holdout: 0.06", "line 7: the shares come to 1.01"),
        ("share: 0.475}", "sahre: 0.475}", "line 8: experiments.0.variants.0: Object"),
        ("name: new-model", "name: control", "line 9: two variants are called control"),
        ("name: new-model", "name: holdout", "line 9: holdout is no name for a variant"),
        ("name: slate", "name: summer", "line 12: two experiments are called summer"),
        ("control: seven", "control: eight", "line 15: eight is none of its variants: twenty,"),
        ("per_category: 2", "per_categry: 2", "line 18: per_categry is no option of the slate"),
        ("size: 7", "size: 0", "line 18: size is 0, and must be a whole number of 1 to 20"),
        ("size: 7", "size: .inf", "line 18: size is inf, and must be a whole number of 1 to 20"),
        ("size: 7", "size: !!int seven", "line 18: size is seven, which is no int"),
        ("size: 7", "size: !!binary eA==", "line 18: experiments.1.variants.1.policy: Expected"),
        ("policy: {size: 7", "policy: &p {more: *p", "line 18: The file holds too many values"),
        ("size: 7", "size: 7.5", "line 18: size is 7.5, and must be a whole number of 1 to 20"),
        ("control: seven", "start: 2026-02-01", "line 15: start stands twice"),
        ("[4, 5]}", "[4, 5}", "line 1: This is no YAML"),
        (
            "model: previous",
            "model: previous\n        policy: {size: 9}",
            "line 13: slate and summer",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(file: Path, right: str, wrong: str, says: str) -> None:
    assert right in GOOD
    file.write_text(GOOD.replace(right, wrong, 1))
    with pytest.raises(SettingsError) as refused:
        read_experiments(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert says in str(refused.value)


def test_what_lies_too_deep_to_be_an_experiment_is_a_mistake(file: Path) -> None:
    file.write_text("[" * 100_000)
    with pytest.raises(SettingsError, match="line 1: More than 20 values"):
        read_experiments(file)


def test_all_mistakes_are_told_at_once(file: Path) -> None:
    file.write_text(GOOD.replace("holdout: 0.05", "holdout: 0.5").replace("seven", "eight", 1))
    with pytest.raises(FileMistakesError) as refused:
        read_experiments(file)
    assert [mistake.line for mistake in refused.value.mistakes] == [7, 15]


def test_experiments_that_set_the_same_may_follow_one_another(file: Path) -> None:
    text = GOOD.replace("2100-01-01T06:00+02:00", "2026-06-01")
    later = text.replace(
        "start: 2026-01-01\n    end: 2100-01-01\n", "start: 2026-06-01\n    end: 2100-01-01\n"
    )
    file.write_text(later.replace("model: previous", "policy: {size: 9}"))
    assert len(read_experiments(file).experiments) == 2


def test_an_experiment_is_found_by_its_name(file: Path) -> None:
    file.write_text(GOOD)
    shop = read_experiments(file)
    assert find_experiment(shop, "slate", file).name == "slate"
    with pytest.raises(SettingsError, match=r"no experiment slat\. Did you mean slate\?"):
        find_experiment(shop, "slat", file)


def test_a_variants_model_is_a_part_of_the_models_file_or_a_folder(tmp_path: Path) -> None:
    spring = Named("/models/spring", "a1")
    models = Models(previous=spring)
    assert bundle_of("current", models, tmp_path) is None
    assert bundle_of("previous", models, tmp_path) == spring
    found = bundle_of(str(DEMO_BUNDLE), models, tmp_path)
    assert found is not None
    assert found.bundle == str(DEMO_BUNDLE.resolve())
    with pytest.raises(SettingsError, match="the models file names none"):
        bundle_of("shadow", models, tmp_path)
    with pytest.raises(BundleError, match="cannot be read"):
        bundle_of("nowhere", models, tmp_path)


def test_show_and_assign_say_what_runs_and_who_is_where(file: Path) -> None:
    file.write_text(GOOD)
    shown = CliRunner().invoke(app, ["experiment", "show", "--json"])
    told = json.loads(shown.stdout)
    states = [(each["name"], each["state"]) for each in told["experiments"]]
    assert states == [("summer", "running"), ("slate", "running")]
    assigned = json.loads(CliRunner().invoke(app, ["experiment", "assign", "u7", "--json"]).stdout)
    summer, slate = read_experiments(file).experiments
    assert assigned["variant"] == ",".join(
        f"{each.name}={variant_of(each, 'u7')}" for each in (summer, slate)
    )
    for words in (["show"], ["assign", "u7"]):
        assert CliRunner().invoke(app, ["experiment", *words]).exit_code == 0


def test_the_selftest_says_whether_the_report_is_to_be_believed() -> None:
    done = CliRunner().invoke(app, ["experiment", "selftest", "--runs", "20", "--json"])
    found = json.loads(done.stdout)
    assert (done.exit_code, found["aa_runs"], found["detected_true_uplift"]) == (0, 20, True)


def test_under_pseudonyms_assign_says_where_the_stream_sees_the_shopper(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(GOOD)
    secret = "a secret of the shop"  # noqa: S105
    monkeypatch.setenv("ENDCAP_PSEUDONYM_SECRET", secret)
    said = json.loads(CliRunner().invoke(app, ["experiment", "assign", "u7", "--json"]).stdout)
    kept = pseudonym(secret, "u7")
    assert said["user_id"] == kept
    experiments = read_experiments(file).experiments
    variants = {row["experiment"]: row["variant"] for row in said["experiments"]}
    assert variants == {each.name: variant_of(each, kept) for each in experiments}
