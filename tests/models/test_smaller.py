"""Bundles in int8, students, and a search of options, from a small shop whose habits are known."""

import fcntl
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from endcap.bundle import load_bundle
from endcap.deploy.cli import app
from endcap.errors import BundleError, SettingsError

torch = pytest.importorskip("torch", reason="torch is missing: pip install 'endcap[export]'")
pytest.importorskip("optuna", reason="optuna is missing: pip install 'endcap[export]'")

import onnx  # noqa: E402
from aisle_shop import OPTIONS, Quiet, shop, write_events  # noqa: E402

from endcap.export.commands import Wishes, options_for  # noqa: E402
from endcap.export.data.interactions import DataSet, Split  # noqa: E402
from endcap.export.data.protocols import split  # noqa: E402
from endcap.export.encoder import SessionEncoder  # noqa: E402
from endcap.export.encoder_file import ENCODER_FILE  # noqa: E402
from endcap.export.evaluate import ranker_of, train  # noqa: E402
from endcap.export.graph_ranker import GraphRanker  # noqa: E402
from endcap.export.imitation import Teacher, imitation  # noqa: E402
from endcap.export.learn_options import LearnOptions  # noqa: E402
from endcap.export.measures.accuracy import accuracy_per_case, means  # noqa: E402
from endcap.export.options_file import load_options, store_options  # noqa: E402
from endcap.export.questions import Vocabulary, batches  # noqa: E402
from endcap.export.search import Searched  # noqa: E402
from endcap.export.smaller import quantise as quantising  # noqa: E402
from endcap.export.smaller.commands import tune  # noqa: E402
from endcap.export.smaller.distil import Distilling, distil  # noqa: E402
from endcap.export.smaller.quantise import Form, Quantising, quantise  # noqa: E402
from endcap.serving.onnx_session import OnnxScorer  # noqa: E402

pytestmark = pytest.mark.models
WIDE = msgspec.structs.replace(OPTIONS, encoder=msgspec.structs.replace(OPTIONS.encoder, dim=64))
BRIEF = msgspec.structs.replace(OPTIONS, fit=msgspec.structs.replace(OPTIONS.fit, epochs=2))


@pytest.fixture(scope="module")
def data() -> DataSet:
    return shop()


@pytest.fixture(scope="module")
def parts(data: DataSet) -> Split:
    return split(data, "time")


@pytest.fixture(scope="module")
def trained(data: DataSet, parts: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(data, parts, WIDE, folder, "endcap train small-shop", Quiet())
    return folder


@pytest.mark.parametrize("form", ["dynamic int8", "static int8", "float16"])
def test_a_smaller_bundle_is_smaller_and_recommends_the_same(
    data: DataSet, parts: Split, trained: Path, tmp_path: Path, form: Form
) -> None:
    out = tmp_path / "int8"
    options = Quantising(form=form, may_lose=0.05)
    cost = quantise(trained, out, data, parts, options, "endcap quantise", Quiet())
    before, after = load_bundle(trained), load_bundle(out)

    # Of so few items the graph is mostly structure, and what is float32 in both.
    assert len(after.model) < (0.9 if form == "float16" else 0.6) * len(before.model)
    assert cost.after.graph_bytes == len(after.model)
    files = (e.bytes for name, e in after.manifest.files.items() if not name.endswith(".md"))
    assert cost.after.bundle_bytes == sum(files) < cost.before.bundle_bytes
    assert cost.overlap_at_20 > (0.99 if form == "float16" else 0.95)
    figures = means(accuracy_per_case(_ranker(out, data).slates(parts.test), parts.test))
    assert cost.after.hr_at_20 == pytest.approx(figures["hr_at_20"])
    assert after.manifest.metrics["endcap"]["ndcg_at_10"] == pytest.approx(figures["ndcg_at_10"])
    assert after.manifest.made_from["model.onnx"] == hashlib.sha256(before.model).hexdigest()
    assert after.manifest.made_from["command"] == "endcap train small-shop"
    assert after.manifest.command == "endcap quantise"


def test_the_item_table_is_kept_once_and_in_int8_and_ids_stay_int64(
    data: DataSet, parts: Split, trained: Path, tmp_path: Path
) -> None:
    quantise(trained, tmp_path / "int8", data, parts, Quantising(may_lose=1), "", Quiet())
    bundle = load_bundle(tmp_path / "int8")
    model = onnx.load_from_string(bundle.model)
    table_size = (len(data.items) + 1) * WIDE.encoder.dim
    as_large = [t for t in model.graph.initializer if int(np.prod(t.dims)) == table_size]
    assert [t.data_type for t in as_large] == [onnx.TensorProto.INT8]
    vocabulary = Vocabulary(data.items, bundle.items)
    asked = next(batches(parts.test, vocabulary, bundle.generators, 20))
    scored = OnnxScorer(bundle, threads=1).score(asked.crowd, asked.gathered)
    assert set(scored.ids.tolist()) <= set(range(1, len(bundle.items) + 1))
    assert scored.scores.dtype == np.float32


def test_a_static_bundle_scores_a_shopper_alike_whoever_shares_the_call(
    data: DataSet, parts: Split, trained: Path, tmp_path: Path
) -> None:
    options = Quantising(form="static int8", may_lose=1)
    quantise(trained, tmp_path / "int8", data, parts, options, "", Quiet())
    ranker = _ranker(tmp_path / "int8", data)
    together = ranker.slates(parts.test)
    alone = [ranker.slates(parts.test.take(np.array([row])))[0] for row in range(8)]
    np.testing.assert_array_equal(together[:8], alone)


def test_what_loses_more_than_it_may_is_refused_but_by_force(
    data: DataSet, parts: Split, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "int8"
    strict = Quantising(may_lose=-1.0)
    with pytest.raises(BundleError, match="nothing was written"):
        quantise(trained, out, data, parts, strict, "endcap quantise", Quiet())
    assert not out.exists()
    forced = msgspec.structs.replace(strict, is_forced=True)
    quantise(trained, out, data, parts, forced, "endcap quantise", Quiet())
    assert load_bundle(out).model


def test_float16_that_changes_the_first_20_is_refused(
    data: DataSet, parts: Split, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantising, "LEAST_OVERLAP_OF_HALF", 1.01)
    out = tmp_path / "half"
    with pytest.raises(BundleError, match=r"first 20 items of .* nothing was written"):
        quantise(trained, out, data, parts, Quantising(form="float16", may_lose=1), "", Quiet())
    assert not out.exists()


def test_what_is_in_int8_already_and_a_bundle_itself_are_refused(
    data: DataSet, parts: Split, trained: Path, tmp_path: Path
) -> None:
    any_loss = Quantising(may_lose=1.0)
    quantise(trained, tmp_path / "int8", data, parts, any_loss, "", Quiet())
    with pytest.raises(BundleError, match="quantised already"):
        quantise(tmp_path / "int8", tmp_path / "again", data, parts, any_loss, "", Quiet())
    with pytest.raises(BundleError, match="name another --out"):
        quantise(trained, trained, data, parts, any_loss, "", Quiet())


def test_files_beside_the_bundle_that_its_manifest_names_come_along(
    data: DataSet, parts: Split, trained: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for file in trained.iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    (source / "words.npz").write_bytes(b"words")
    manifest = json.loads((source / "manifest.json").read_text())
    entry = {"sha256": hashlib.sha256(b"words").hexdigest(), "bytes": 5}
    manifest["files"]["words.npz"] = entry
    (source / "manifest.json").write_text(json.dumps(manifest))

    quantise(source, tmp_path / "int8", data, parts, Quantising(may_lose=1.0), "", Quiet())
    copied = load_bundle(tmp_path / "int8").manifest.files["words.npz"]
    assert msgspec.structs.asdict(copied) == entry
    assert (tmp_path / "int8" / "words.npz").read_bytes() == b"words"


def test_a_student_is_smaller_and_near_its_teacher(
    data: DataSet, parts: Split, trained: Path, tmp_path: Path
) -> None:
    wished = Distilling(dim=16, layers=1)
    out = tmp_path / "student"
    cost = distil(trained, out, data, parts, OPTIONS, wished, "endcap distil", Quiet())
    student, teacher = load_bundle(out), load_bundle(trained)
    assert len(student.model) < 0.6 * len(teacher.model)
    assert cost.after.hr_at_20 > 0.95 * cost.before.hr_at_20
    assert cost.after.ndcg_at_10 > 0.8 * cost.before.ndcg_at_10
    assert student.manifest.made_from["model.onnx"] == hashlib.sha256(teacher.model).hexdigest()


def test_imitation_costs_nothing_where_student_and_teacher_expect_the_same() -> None:
    teacher, other = _encoder(1), _encoder(2)
    items = torch.tensor([[3, 8, 5, 9], [7, 2, 0, 0]])
    inputs = (items, torch.ones_like(items), torch.ones_like(items))
    asked = items != 0
    answers, drawn = torch.tensor([8, 5, 9, 4, 2, 6]), torch.arange(1, 60)

    def cost(student: SessionEncoder) -> torch.Tensor:
        states = student.states(*inputs)[asked]
        return imitation(student, states, Teacher(teacher), inputs, asked, answers, drawn)

    assert cost(teacher).item() == pytest.approx(0.0, abs=1e-6)
    begun = cost(other).item()
    assert begun > 0.1
    steps = torch.optim.Adam(other.parameters(), lr=0.01)
    for _ in range(30):
        steps.zero_grad()
        loss = cost(other)
        loss.backward()
        steps.step()
    assert loss.item() < 0.5 * begun


def test_a_teacher_that_may_have_seen_the_questions_is_refused(
    data: DataSet, parts: Split, trained: Path, tmp_path: Path
) -> None:
    other = split(data, "leave-one-out")
    with pytest.raises(BundleError, match="learned from other events"):
        distil(trained, tmp_path / "s", data, other, OPTIONS, Distilling(), "", Quiet())
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in trained.iterdir():
        if file.name != ENCODER_FILE:
            (bare / file.name).write_bytes(file.read_bytes())
    with pytest.raises(BundleError, match="holds no Transformer"):
        distil(bare, tmp_path / "s", data, parts, OPTIONS, Distilling(), "", Quiet())


def test_a_search_goes_on_where_it_stopped_and_begins_with_the_default(
    data: DataSet, parts: Split, tmp_path: Path
) -> None:
    first = _tune(data, parts, 2, tmp_path / "parted")
    more = _tune(data, parts, 4, tmp_path / "parted")
    assert more.trials[:2] == first.trials
    assert len(more.trials) == 4
    assert more.trials[0].choice["dim"] == BRIEF.encoder.dim
    assert more.score == max(trial.score for trial in more.trials)
    assert all(1 <= len(trial.epochs) <= 2 and trial.seconds > 0 for trial in more.trials)
    written = json.loads((tmp_path / "parted" / "trials.json").read_text())
    assert [trial["number"] for trial in written] == [0, 1, 2, 3]

    whole = _tune(data, parts, 4, tmp_path / "whole")
    assert [t.choice for t in whole.trials] == [t.choice for t in more.trials]
    assert [t.score for t in whole.trials] == [t.score for t in more.trials]


def test_a_trial_that_was_killed_is_marked_failed_and_repeated(
    data: DataSet, parts: Split, tmp_path: Path
) -> None:
    class Killed(Quiet):
        def say(self, sentence: str) -> None:
            if sentence.startswith("epoch 2/") and self.steps["Trials"][0] == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(data, parts, BRIEF, 3, tmp_path, Killed())
    found = _tune(data, parts, 3, tmp_path)
    assert [trial.state for trial in found.trials] == ["complete", "fail", "complete", "complete"]
    assert found.trials[1].choice == found.trials[2].choice
    assert len(found.trials[1].epochs) == 1


def test_the_best_options_make_a_round_trip_and_reach_training(
    data: DataSet, parts: Split, tmp_path: Path
) -> None:
    found = _tune(data, parts, 2, tmp_path)
    assert load_options(tmp_path / "options.json") == found.options
    wishes = Wishes(seed=11, epochs=5, options=load_options(tmp_path / "options.json"))
    chosen = options_for(parts.train, len(data.items), wishes)
    assert chosen.encoder == found.options.encoder
    assert chosen.fit == msgspec.structs.replace(found.options.fit, seed=11, epochs=5)
    assert chosen.blend_fit.seed == 11


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no options"),
        ('{"encoder": {"dims": 8}}', "unknown field `dims`"),
        ('{"fit": {"epochs": "many"}}', "Expected `int`"),
        ('{"encoder": {"dim": 9}}', "cannot be divided by 2 heads"),
        ('{"encoder": {"dropout": 1.5}}', "encoder.dropout is 1.5"),
        ('{"fit": {"learning_rate": 0}}', "fit.learning_rate is 0"),
    ],
)
def test_wrong_options_are_refused_and_named(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "options.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=reason):
        load_options(path)


def test_options_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_options(tmp_path / "options.json")


def test_any_options_make_a_round_trip(tmp_path: Path) -> None:
    for options in (LearnOptions(), OPTIONS, WIDE):
        store_options(tmp_path / "options.json", options)
        assert load_options(tmp_path / "options.json") == options


def test_what_the_test_holds_changes_nothing_that_a_search_finds(
    data: DataSet, parts: Split, tmp_path: Path
) -> None:
    other = split(shop(changed_from_week=11), "time")
    assert not np.array_equal(other.test.targets, parts.test.targets)
    ours = _tune(data, parts, 2, tmp_path / "ours")
    theirs = _tune(data, other, 2, tmp_path / "theirs")
    assert ours.options == theirs.options
    for one, two in zip(ours.trials, theirs.trials, strict=True):
        assert [epoch[:3] for epoch in one.epochs] == [epoch[:3] for epoch in two.epochs]


def test_a_folder_of_another_search_is_refused(data: DataSet, parts: Split, tmp_path: Path) -> None:
    _tune(data, parts, 1, tmp_path)
    with pytest.raises(SettingsError, match="other defaults"):
        tune(data, parts, WIDE, 1, tmp_path, Quiet())
    with pytest.raises(SettingsError, match="other events"):
        tune(data, split(data, "leave-one-out"), BRIEF, 1, tmp_path, Quiet())


def test_two_processes_never_search_in_one_folder(
    data: DataSet, parts: Split, tmp_path: Path
) -> None:
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SettingsError, match="Another process"):
            _tune(data, parts, 1, tmp_path)
    _tune(data, parts, 1, tmp_path)


def test_a_hopeless_trial_is_pruned_and_never_the_best(
    data: DataSet, parts: Split, tmp_path: Path
) -> None:
    """Trials of random options that end below the median of the first four are cut short."""
    options = msgspec.structs.replace(OPTIONS, fit=msgspec.structs.replace(OPTIONS.fit, epochs=3))
    found = tune(data, parts, options, 9, tmp_path, Quiet())
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.score <= found.score for trial in pruned)


def test_the_commands_search_train_with_what_was_found_and_make_it_smaller(
    data: DataSet, tmp_path: Path
) -> None:
    events = tmp_path / "events.csv"
    write_events(data, events)
    tuned, model = tmp_path / "tuned", tmp_path / "model"
    found = _endcap("tune", events, "--trials", 2, "--epochs", 1, "--out", tuned)
    assert found["trials"] == 2
    assert found["score"] >= found["default_score"] > 0

    _endcap("train", events, "--options", tuned / "options.json", "--out", model)
    for command, more in (("quantise", ("--may-lose", 1)), ("distil", ("--epochs", 1))):
        out = tmp_path / command
        cost = _endcap(command, events, "--bundle", model, "--out", out, "--questions", 40, *more)
        after = load_bundle(out)
        assert cost["after"]["graph_bytes"] == len(after.model) < cost["before"]["graph_bytes"]
        assert cost["questions"] == 40
        assert 0 < cost["overlap_at_20"] <= 1
        assert after.manifest.made_from["model.onnx"]


def _endcap(*arguments: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _tune(data: DataSet, parts: Split, trials: int, folder: Path) -> Searched:
    return tune(data, parts, BRIEF, trials, folder, Quiet())


def _encoder(seed: int) -> SessionEncoder:
    torch.manual_seed(seed)
    return SessionEncoder(120, OPTIONS.encoder).eval()


def _ranker(folder: Path, data: DataSet) -> GraphRanker:
    return ranker_of(load_bundle(folder), data, Quiet())
