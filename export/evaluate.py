"""One evaluation: train where no bundle is given, tune opponents, ask all the same questions."""

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from endcap.arrays import IntArray
from endcap.bundle import MANIFEST_FILE, Bundle, load_bundle
from endcap.errors import EndcapError
from endcap.export.bundling import bundle_learned
from endcap.export.checkpoint import EVERY_S, Halfway
from endcap.export.data.interactions import DataSet, Split
from endcap.export.encoder_file import store_encoder
from endcap.export.fingerprint import fingerprint
from endcap.export.fit_transformer import fit_transformer
from endcap.export.graph_ranker import GraphRanker, Timed, timed_slates
from endcap.export.imitation import Teacher
from endcap.export.input_reference import input_figures, with_inputs
from endcap.export.learn import Learned, learn
from endcap.export.learn_options import LearnOptions
from endcap.export.line_up import Rivals, opponents_slates
from endcap.export.measures.accuracy import accuracy_per_case, means
from endcap.export.measures.beyond import shop_of
from endcap.export.opponents.tuning import fit, opponent_named
from endcap.export.progress import Progress
from endcap.export.ranks import joined, ranks_here
from endcap.export.report.comparison import compare
from endcap.export.report.found import OURS, About, Epoch, Found, Published
from endcap.export.text.make_words import WordsMaker
from endcap.export.text.unseen_items import item_texts
from endcap.export.text.words import add_words
from endcap.text import WORDS_FILE

BASELINES = ("pop", "personal-pop")


class Trained(NamedTuple):
    """A bundle on disk, how it came about, and what it answers to the test's questions."""

    bundle: Bundle
    learned: Learned
    answers: Timed


class Where(NamedTuple):
    """`device`: auto, cpu or cuda. `checkpoint_every_s`: what a killed run loses at most."""

    device: str = "auto"
    checkpoint_every_s: float = EVERY_S


HERE = Where()


def train(
    data: DataSet,
    split: Split,
    options: LearnOptions,
    out: Path,
    command: str,
    progress: Progress,
    teacher: Teacher | None = None,
    made_from: dict[str, str] | None = None,
    where: Where = HERE,
    make_words: WordsMaker | None = None,
) -> Trained:
    """Learn, answer the test once, write the bundle and beside it what a student learns from.

    What is left half done is gone on with: the checkpoints lie in `out` until the bundle is whole.
    `make_words`: for items with titles; they place what no event names, and lie in the bundle.

    Raises:
        SettingsError: there is no such device; the checkpoints are of another training.
        EndcapError: a process that trains along has ended.
    """
    ranks = ranks_here(where.device)
    if not ranks.leads:
        raise EndcapError("torchrun can share `endcap train` and `endcap evaluate` alone.")
    if (out / MANIFEST_FILE).exists():
        progress.say(
            f"{out} holds a finished bundle: this one replaces it when it is whole. "
            f"`endcap evaluate --bundle {out}` takes it as it is"
        )
    halfway = Halfway(out, where.checkpoint_every_s)
    with joined(ranks):
        fitted = fit_transformer(split, data.items, options, progress, halfway, teacher, ranks)
    words = None if make_words is None else make_words(data.items, out, progress)
    texts = None if words is None else item_texts(data.items, data.offered, words)
    learned = learn(split, data.items, options, progress, fitted, texts)
    length = options.encoder.length
    ranker = GraphRanker(
        *(learned.graph, learned.stages, learned.generators, length),
        *(data.items, data.items, progress),
    )
    answers = timed_slates(ranker, split.test)
    metrics = {OURS: means(accuracy_per_case(answers.slates, split.test))}
    metrics |= baselines(split, len(data.items), options.fit.seed)
    bundle_learned(out, learned, data, command, metrics, length, made_from or {})
    if words is None:
        (out / WORDS_FILE).unlink(missing_ok=True)
    else:
        add_words(out, words)
    learned_from = fingerprint(split.train, data.items)
    store_encoder(out, learned.first_encoder, options.encoder, learned_from)
    halfway.remove()
    bundle = load_bundle(out)
    asked = input_figures(bundle, split.test, data)
    return Trained(with_inputs(out, bundle, asked), learned, answers)


def train_along(
    data: DataSet,
    split: Split,
    options: LearnOptions,
    out: Path,
    progress: Progress,
    where: Where,
) -> None:
    """What a process that does not lead does: its share of the steps, and nothing else.

    Raises:
        EndcapError: as `train` does.
    """
    ranks = ranks_here(where.device)
    with joined(ranks):
        fit_transformer(split, data.items, options, progress, Halfway(out), None, ranks)


def baselines(split: Split, n_items: int, seed: int) -> dict[str, dict[str, float]]:
    """What popularity and habit reach as they are: a floor. `endcap evaluate` tunes
    these and others."""
    found: dict[str, dict[str, float]] = {}
    for name in BASELINES:
        ranker = fit(name, split.known, n_items, opponent_named(name).defaults(), seed)
        found[name] = means(accuracy_per_case(ranker.slates(split.test), split.test))
    return found


def ranker_of(bundle: Bundle, data: DataSet, progress: Progress) -> GraphRanker:
    """The bundle, answering for the items of `data`."""
    return GraphRanker(
        bundle.model,
        bundle.stages,
        bundle.generators,
        bundle.manifest.max_length,
        data.items,
        bundle.items,
        progress,
    )


def evaluate(
    data: DataSet,
    split: Split,
    ours: Timed,
    learned: Learned | None,
    rivals: Rivals,
    command: str,
    published: tuple[Published, ...],
    progress: Progress,
) -> Found:
    """Ask each rival the test's questions, and measure its answers beside `ours`."""
    slates: dict[str, IntArray] = {OURS: ours.slates}
    slates |= opponents_slates(rivals, split, len(data.items), progress)
    about = About(
        data=data.name,
        protocol=split.protocol,
        command=command,
        machine=platform.platform(terse=True),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds_to_train=round(learned.seconds, 1) if learned else 0.0,
        users_per_s=round(ours.users_per_s, 1),
        training=_curve(learned) if learned else (),
        importance=learned.importance if learned else {},
        facts=data.facts,
        sizes={
            "events to learn from": int(split.train.items.size),
            "events known before the test": int(split.known.items.size),
            "validation questions": split.validation.size,
            "test questions": split.test.size,
            "items": len(data.items),
            "shoppers or sessions": int(np.count_nonzero(np.diff(data.interactions.offsets))),
        },
        published=published,
    )
    return compare(slates, split.test, shop_of(split.known, data.items), about)


def _curve(learned: Learned) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(
            number,
            round(epoch.loss, 4),
            {"hr_at_20": epoch.valid_hr, "mrr_at_20": epoch.valid_mrr},
        )
        for number, epoch in enumerate(learned.curve, start=1)
    )
