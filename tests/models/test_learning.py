"""Learn from a small shop whose habits are known, export by Optimum, and serve the graph."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from endcap.batches import Batch
from endcap.bundle import Bundle, changed_files, load_bundle, read_manifest, write_bundle
from endcap.candidates import CONTEXT, FEATURES
from endcap.deploy.bundle_signatures import new_key, sign, verify
from endcap.errors import BundleError, EndcapError

torch = pytest.importorskip("torch", reason="torch is missing: pip install 'endcap[export]'")

from aisle_shop import N_ITEMS, OPTIONS, Quiet, shop  # noqa: E402

from endcap.export.blend import BlendedRescorer  # noqa: E402
from endcap.export.cards import DATA_SHEET, MODEL_CARD  # noqa: E402
from endcap.export.checkpoint import Checkpoint  # noqa: E402
from endcap.export.data.interactions import DataSet, Interactions, Split  # noqa: E402
from endcap.export.data.protocols import split  # noqa: E402
from endcap.export.encoder import SessionEncoder  # noqa: E402
from endcap.export.evaluate import evaluate, ranker_of, train  # noqa: E402
from endcap.export.fit_encoder import fit_encoder  # noqa: E402
from endcap.export.from_graph import model_of  # noqa: E402
from endcap.export.graph_ranker import timed_slates  # noqa: E402
from endcap.export.learn import learn  # noqa: E402
from endcap.export.line_up import Rivals  # noqa: E402
from endcap.export.onnx_graph import (  # noqa: E402
    TOLERANCE,
    export_onnx,
    largest_difference,
)
from endcap.export.opponents.tuning import Budget  # noqa: E402
from endcap.export.questions import Asked, Vocabulary, batches  # noqa: E402
from endcap.export.sampled_softmax import Negatives  # noqa: E402
from endcap.export.stages import export_stages, largest_difference_of_stages  # noqa: E402
from endcap.serving.onnx_session import OnnxScorer  # noqa: E402

pytestmark = pytest.mark.models
_FOLDER = "trained-bundle"


@pytest.fixture(scope="module")
def data() -> DataSet:
    return shop()


@pytest.fixture(scope="module")
def parts(data: DataSet) -> Split:
    return split(data, "time")


@pytest.fixture(scope="module")
def folder(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where that bundle lies."""
    return tmp_path_factory.getbasetemp() / _FOLDER


@pytest.fixture(scope="module")
def bundle(data: DataSet, parts: Split, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    progress = Quiet()
    out = tmp_path_factory.mktemp(_FOLDER, numbered=False)
    trained = train(data, parts, OPTIONS, out, "endcap train small-shop", progress)
    assert trained.bundle.manifest == read_manifest(out)
    losses = [epoch.loss for epoch in trained.learned.curve]
    assert losses == sorted(losses, reverse=True)
    assert all(done == of for done, of in progress.steps.values()), progress.steps
    assert not (out / "checkpoint.pt").exists()
    return trained.bundle


def test_what_is_learned_is_ahead_of_popularity_and_its_figures_are_in_the_manifest(
    data: DataSet, parts: Split, bundle: Bundle, tmp_path: Path
) -> None:
    found = evaluate(
        data,
        parts,
        timed_slates(ranker_of(bundle, data, Quiet()), parts.test),
        None,
        Rivals(("pop",), Budget(trials=2), 7, tmp_path),
        "endcap evaluate",
        (),
        Quiet(),
    )
    assert found.metrics["recall"] > 2 * found.opponents["pop"]["recall"]
    written = bundle.manifest.metrics["endcap"]
    assert found.metrics["hr_at_10"] == pytest.approx(written["hr_at_10"])
    keys = {"hr_at_10", "hr_at_20", "ndcg_at_10", "precision_at_20", "mrr_at_20"}
    assert keys | {"precision", "recall", "f1", "coverage"} <= found.metrics.keys()
    assert found.users_per_s > 0


def test_a_trained_bundle_has_a_card_and_a_data_sheet_of_its_own_figures(
    folder: Path, data: DataSet
) -> None:
    manifest = load_bundle(folder).manifest
    card, sheet = (folder / MODEL_CARD).read_text(), (folder / DATA_SHEET).read_text()
    rows = {row.split(" | ")[0]: row for row in card.splitlines() if row.startswith("| ")}
    assert manifest.metrics["endcap"]["hr_at_10"] > 0
    for ranker, measured in manifest.metrics.items():
        if "hr_at_10" in measured:
            shown = [f"{measured[name]:.4f}" for name in ("hr_at_10", "ndcg_at_10")]
            assert rows[f"| {ranker}"].split(" | ")[1:3] == shown
    assert f"{len(data.items):,} items" in card
    assert f"`{manifest.command}`" in card
    for name, value in manifest.data.items():
        assert f"| {name} | {value} |" in sheet


def test_a_signature_covers_the_card_and_the_data_sheet(folder: Path, tmp_path: Path) -> None:
    signed = shutil.copytree(folder, tmp_path / "signed")
    private, public = new_key(tmp_path / "training")
    sign(signed, private)
    assert changed_files(signed, verify(signed, public)) == []
    for name in (MODEL_CARD, DATA_SHEET):
        as_it_was = (signed / name).read_text()
        (signed / name).write_text(as_it_was + "It is better than all others.\n")
        assert changed_files(signed, verify(signed, public)) == [name]
        (signed / name).write_text(as_it_was)


def test_the_manifest_has_what_the_test_asked_in_bins(parts: Split, bundle: Bundle) -> None:
    inputs = bundle.manifest.inputs
    assert inputs is not None
    assert inputs.questions == parts.test.size
    for shares in inputs.shares.values():
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)


def test_a_finished_bundle_is_replaced_with_a_word_and_without_the_words_of_before(
    data: DataSet, parts: Split, bundle: Bundle, tmp_path: Path
) -> None:
    write_bundle(tmp_path, bundle.manifest, bundle.items, bundle.generators, bundle.model)
    (tmp_path / "words.npz").write_bytes(b"of another catalogue")
    progress = Quiet()
    trained = train(data, parts, OPTIONS, tmp_path, "endcap train again", progress)
    assert any("this one replaces it" in sentence for sentence in progress.said)
    assert trained.bundle.manifest.command == "endcap train again"
    assert not (tmp_path / "words.npz").exists()


def test_what_is_evaluated_is_what_is_served(data: DataSet, parts: Split, bundle: Bundle) -> None:
    served = OnnxScorer(bundle, threads=1)
    assert served.path == "staged"
    ranker = ranker_of(bundle, data, Quiet())
    slates = ranker.slates(parts.test)
    for asked in _asked(data, parts, bundle):
        scored = served.score(asked.crowd, asked.gathered)
        for row in range(asked.crowd.size):
            own = scored.row(row)
            best = own.ids[np.argsort(-own.scores, kind="stable")[:20]]
            assert slates[asked.rows[row]].tolist() == best.tolist()


def test_the_stages_and_the_whole_graph_give_the_same_scores(
    data: DataSet, parts: Split, bundle: Bundle
) -> None:
    staged = OnnxScorer(bundle, threads=1)
    whole = OnnxScorer(bundle._replace(stages=None), threads=1)
    assert (staged.path, whole.path) == ("staged", "whole")
    for asked in _asked(data, parts, bundle):
        ours = staged.score(asked.crowd, asked.gathered)
        theirs = whole.score(asked.crowd, asked.gathered)
        for row in range(asked.crowd.size):
            expected = dict(zip(*(each.tolist() for each in theirs.row(row)), strict=True))
            found = dict(zip(*(each.tolist() for each in ours.row(row)), strict=True))
            assert found == pytest.approx(expected, abs=1e-4)


def test_stages_of_another_model_are_refused(data: DataSet, parts: Split, bundle: Bundle) -> None:
    one, other = model_of(bundle), _untrained()
    assert bundle.stages is not None
    with pytest.raises(EndcapError, match="differs from torch"):
        largest_difference_of_stages(
            one,
            export_stages(other)._replace(table=bundle.stages.table),
            bundle.generators,
            list(_asked(data, parts, bundle)),
        )


def test_the_weights_come_back_from_the_graph(bundle: Bundle) -> None:
    assert export_onnx(model_of(bundle)) == bundle.model
    with pytest.raises(BundleError, match="cannot be read back"):
        model_of(bundle._replace(model=export_onnx(_untrained())))


def test_a_bundle_of_another_vocabulary_answers_by_item_id(
    data: DataSet, parts: Split, bundle: Bundle
) -> None:
    """The same shop with its items numbered the other way round."""
    events = data.interactions
    turned = data._replace(
        items=data.items[::-1],
        interactions=events._replace(items=(N_ITEMS + 1 - events.items).astype(np.int32)),
    )
    slates = ranker_of(bundle, data, Quiet()).slates(parts.test)
    again = ranker_of(bundle, turned, Quiet()).slates(split(turned, "time").test)
    # What one purchase held is in another order there, which the Transformer may notice.
    same = np.mean(np.where(again > 0, N_ITEMS + 1 - again, 0) == slates)
    assert same > 0.6
    alone = np.mean(again == slates)
    assert alone < 0.2


def test_what_the_test_holds_changes_nothing_that_is_learned(data: DataSet, parts: Split) -> None:
    other = split(shop(changed_from_week=11), "time")
    assert not np.array_equal(other.test.targets, parts.test.targets)
    first = learn(parts, data.items, OPTIONS, Quiet())
    second = learn(other, data.items, OPTIONS, Quiet())
    assert first.graph == second.graph
    for ours, theirs in zip(first.generators.sessions, second.generators.sessions, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(first.generators.popularity, second.generators.popularity)


def test_what_validation_holds_reaches_neither_the_first_fit_nor_its_negatives(
    data: DataSet, parts: Split
) -> None:
    other = split(shop(changed_from_week=9), "time")
    fitted = [_fitted(part.train, len(data.items)) for part in (parts, other)]
    for ours, theirs in zip(*(f.parameters() for f in fitted), strict=True):
        assert torch.equal(ours, theirs)


def test_training_that_was_killed_goes_on_and_ends_the_same(
    data: DataSet, parts: Split, tmp_path: Path
) -> None:
    class Killed(Quiet):
        def say(self, sentence: str) -> None:
            super().say(sentence)
            if sentence.startswith("epoch 3/"):
                raise KeyboardInterrupt

    options = msgspec.structs.replace(OPTIONS.fit, epochs=4)
    whole = _encoder(len(data.items))
    curve = fit_encoder(whole, parts.train, parts.validation, options, Quiet())

    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", {})
    with pytest.raises(KeyboardInterrupt):
        fit_encoder(
            _encoder(len(data.items)), parts.train, parts.validation, options, Killed(), checkpoint
        )
    resumed, progress = _encoder(len(data.items)), Quiet()
    again = fit_encoder(resumed, parts.train, parts.validation, options, progress, checkpoint)
    assert progress.said[0].startswith("going on after epoch 2 ")
    assert [epoch[:3] for epoch in again] == [epoch[:3] for epoch in curve]
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_graph_agrees_with_torch_at_other_sizes_than_it_was_exported_with() -> None:
    model = _untrained()
    graph = export_onnx(model)
    sizes = ((1, 1, 1), (1, 20, 90), (64, 7, 40), (5, 13, 110))
    assert largest_difference(model, graph, [_noise(*size) for size in sizes]) <= TOLERANCE


def test_a_graph_of_another_model_is_refused() -> None:
    with pytest.raises(EndcapError, match="differs from torch"):
        largest_difference(_untrained(1), export_onnx(_untrained(2)), [_noise(2, 5, 30)])


def test_no_item_comes_twice_and_padding_never_comes() -> None:
    model = _untrained()
    with torch.no_grad():
        ids, scores = model(*(torch.from_numpy(array) for array in _noise(16, 9, 60)))
    for row, its_scores in zip(ids.tolist(), scores.tolist(), strict=True):
        real = [item for item in row if item]
        assert len(real) == len(set(real))
        assert all(score < -1e8 for item, score in zip(row, its_scores, strict=True) if not item)


def test_what_training_never_met_is_no_negative_and_lies_nowhere(
    data: DataSet, parts: Split
) -> None:
    met = np.arange(1, N_ITEMS + 1, 2)
    events = parts.train._replace(
        items=np.where(parts.train.items % 2, parts.train.items, parts.train.items - 1)
    )
    for n in (40, N_ITEMS):
        negatives = Negatives(events.items, N_ITEMS, n, torch.device("cpu"))
        drawn = negatives.draw(np.random.default_rng(1)).numpy()
        assert np.isin(drawn, met).all()
        assert negatives.everything == (n > met.size)
    encoder = _fitted(events, len(data.items))
    lengths = encoder.items.weight.norm(dim=1)
    assert torch.nonzero(lengths).squeeze(1).tolist() == met.tolist()


def _asked(data: DataSet, parts: Split, bundle: Bundle) -> Iterator[Asked]:
    vocabulary = Vocabulary(data.items, bundle.items)
    return batches(parts.test, vocabulary, bundle.generators, bundle.manifest.max_length)


def _encoder(n_items: int) -> SessionEncoder:
    torch.manual_seed(5)
    return SessionEncoder(n_items, OPTIONS.encoder)


def _fitted(events: Interactions, n_items: int) -> SessionEncoder:
    encoder = _encoder(n_items)
    fit_encoder(encoder, events, None, OPTIONS.fit, Quiet())
    return encoder


def _untrained(seed: int = 1) -> BlendedRescorer:
    torch.manual_seed(seed)
    encoder = SessionEncoder(N_ITEMS, OPTIONS.encoder)
    model = BlendedRescorer(encoder, OPTIONS.blend)
    model.facts.copy_(torch.rand(model.facts.shape))
    return model.eval()


def _noise(rows: int, length: int, width: int) -> Batch:
    rng = np.random.default_rng(rows + length)
    items = rng.integers(1, N_ITEMS + 1, (rows, length))
    candidates = np.zeros((rows, width), dtype=np.int64)
    for row in range(rows):
        items[row, : rng.integers(0, length)] = 0
        n = int(rng.integers(1, width + 1))
        # Some are behind the catalogue: what the shopper has met and the model has not.
        candidates[row, :n] = np.sort(rng.permutation(N_ITEMS + 10)[:n] + 1)
    real = items > 0
    return Batch(
        items,
        np.where(real, rng.integers(1, 13, items.shape), 0),
        np.where(real, rng.integers(1, 16, items.shape), 0),
        candidates,
        rng.random((rows, width, len(FEATURES))).astype(np.float32),
        rng.random((rows, len(CONTEXT))).astype(np.float32),
    )
