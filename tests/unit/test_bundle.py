"""The committed bundle, and one that was tampered with."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from endcap.bundle import FILES, load_bundle
from endcap.candidates import CONTEXT, FEATURES
from endcap.catalogue import CatalogueItem
from endcap.deploy.settings import BUNDLES
from endcap.errors import BundleError
from endcap.events import Event, EventItem, EventType
from endcap.policy import Policy, make_slate
from endcap.scoring import ScoredRow
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.rescorer import rescore
from endcap.sessions import Act, Session, act_of, fold, fold_acts

COMMITTED = BUNDLES / "completejourney"


def test_the_committed_bundle_is_small_and_beats_every_baseline() -> None:
    manifest = load_bundle(COMMITTED).manifest
    assert sum(entry.bytes for entry in manifest.files.values()) <= 10_000_000
    ours = manifest.metrics["endcap"]["hr_at_10"]
    rivals = {name: row["hr_at_10"] for name, row in manifest.metrics.items() if "hr_at_10" in row}
    del rivals["endcap"]
    assert rivals
    assert all(ours > rival for rival in rivals.values()), rivals
    assert manifest.metrics["export"]["largest_difference"] <= 1e-3
    assert manifest.features == (*FEATURES, *CONTEXT)


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_byte_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(COMMITTED, folder)
    raw = bytearray((folder / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / name).write_bytes(raw)
    with pytest.raises(BundleError, match=f"{name} is not the file its manifest describes"):
        load_bundle(folder)


def test_a_missing_bundle_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="endcap train"):
        load_bundle(tmp_path / "nowhere")


def test_a_slate_keeps_the_policy_and_explains_itself() -> None:
    bundle = load_bundle(COMMITTED)
    scorer = OnnxScorer(bundle, threads=1)
    bought, carted = bundle.items[10].item_id, bundle.items[0].item_id
    session = Session("u")
    for number, (kind, item) in enumerate(
        [(EventType.PURCHASE, bought), (EventType.ADD_TO_CART, carted)], start=1
    ):
        session = fold(
            session,
            act_of(
                Event(
                    event_id=f"e{number}",
                    user_id="u",
                    event_name=kind,
                    timestamp_ms=number,
                    transaction_id="t",
                    items=(EventItem(item),),
                )
            ),
        )
    crowd = bundle.crowd([session])
    found = bundle.gatherer.gather(crowd)
    scored = scorer.score(crowd, found).row(0)
    policy = Policy()
    slate = make_slate(session, found.of(0), scored, bundle.item, policy, 2)
    ids = [item.id for item in slate]
    assert len(ids) == len(set(ids)) == policy.size
    assert bought not in ids
    assert carted not in ids
    assert all(item.reason for item in slate)
    assert [item.score for item in slate] == sorted((i.score for i in slate), reverse=True)
    categories = [bundle.item(bundle.index_of[i]).category for i in ids]
    assert max(map(categories.count, categories)) <= policy.per_category


def test_what_the_bundle_never_met_is_shown_to_the_shopper_who_did_while_it_is_sold() -> None:
    bundle = load_bundle(COMMITTED)
    scorer = OnnxScorer(bundle, threads=1)
    acts = [Act(at, EventType.VIEW_ITEM.code, b"", ("new-this-morning",)) for at in (1, 2)]
    session = fold_acts(Session("u"), acts)
    everything = Policy(size=1000, per_category=1000)

    def shown(catalogue: dict[str, CatalogueItem] | None) -> dict[str, str]:
        lists = rescore([session], bundle, scorer, everything, catalogue)
        return {item.id: item.reason for item in lists["u"].items}

    assert shown(None)["new-this-morning"] == "you looked at this before"
    sold = {item.item_id: item for item in bundle.items}
    assert "new-this-morning" not in shown(sold)
    new = CatalogueItem("new-this-morning", "Oat milk")
    assert "new-this-morning" in shown(sold | {new.item_id: new})
    gone = CatalogueItem("new-this-morning", "Oat milk", in_stock=False)
    assert "new-this-morning" not in shown(sold | {gone.item_id: gone})


def test_items_of_no_known_category_are_not_taken_for_one_category() -> None:
    bundle = load_bundle(COMMITTED)
    found = bundle.gatherer.gather(bundle.crowd([Session("new")])).of(0)
    scored = ScoredRow(
        found.ids.astype(np.int64), np.arange(found.ids.size, 0, -1, dtype=np.float32)
    )

    def untold(index: int) -> CatalogueItem:
        return CatalogueItem(str(index), str(index))

    slate = make_slate(Session("new"), found, scored, untold, Policy(size=20), 1)
    assert [item.id for item in slate] == [str(index) for index in found.ids[:20]]


def test_scores_do_not_depend_on_the_rest_of_the_batch() -> None:
    bundle = load_bundle(COMMITTED)
    scorer = OnnxScorer(bundle, threads=1)
    sessions = [Session("empty")]
    for number in range(1, 30):
        event = Event(
            event_id=f"e{number}",
            user_id="u",
            event_name=EventType.VIEW_ITEM,
            timestamp_ms=number,
            items=(EventItem(bundle.items[number * 7].item_id),),
        )
        sessions.append(fold(sessions[-1], act_of(event)))
    crowd = bundle.crowd(sessions, [100] * len(sessions))
    together = scorer.score(crowd, bundle.gatherer.gather(crowd))
    for row, session in enumerate(sessions):
        one = bundle.crowd([session], [100])
        alone = scorer.score(one, bundle.gatherer.gather(one)).row(0)
        beside = together.row(row)
        expected = dict(zip(beside.ids.tolist(), beside.scores.tolist(), strict=True))
        for item, score in zip(alone.ids.tolist(), alone.scores.tolist(), strict=True):
            assert item == 0 or expected[item] == pytest.approx(score, abs=1e-3)
