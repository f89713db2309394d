"""A student: a smaller Transformer that learns from the shop's events and from a trained one."""

import hashlib
from pathlib import Path

import msgspec

from endcap.bundle import load_bundle
from endcap.errors import BundleError, SettingsError
from endcap.export.data.interactions import DataSet, Split
from endcap.export.encoder_file import load_encoder
from endcap.export.evaluate import train
from endcap.export.fingerprint import fingerprint
from endcap.export.imitation import Teacher
from endcap.export.learn_options import LearnOptions
from endcap.export.progress import Progress
from endcap.export.smaller.quantise import contestant, some_of
from endcap.export.smaller.side_by_side import Cost, side_by_side
from endcap.export.text.make_words import words_as_in


class Distilling(msgspec.Struct, frozen=True, kw_only=True):
    """The student's size and how it learns: `share` of its loss is imitation, of distributions that
    `temperature` softens. `questions`: of the test, for the comparison."""

    dim: int = 32
    layers: int = 1
    share: float = 0.5
    temperature: float = 2.0
    questions: int = 2000
    seed: int = 7


def distil(
    source: Path,
    out: Path,
    data: DataSet,
    split: Split,
    options: LearnOptions,
    wished: Distilling,
    command: str,
    progress: Progress,
) -> Cost:
    """Train the student, write its bundle, ask teacher and student the same questions.

    1. Load the teacher as `split.train` alone made it; it must be from this very division.
    2. Train the student's Transformer on both losses, then its blend, as `train` does.
    3. Write the bundle, with the teacher's words; compare on the test's questions.

    Raises:
        BundleError: there is no teacher beside the bundle, or it learned from other events.
        SettingsError: a size or a share that cannot be.
    """
    _check(wished, options)
    if out.resolve() == source.resolve():
        raise BundleError(f"{out} is the teacher itself: name another --out.")
    bundle = load_bundle(source)
    learned_from = fingerprint(split.train, data.items)
    encoder = load_encoder(source, len(data.items), learned_from)
    teacher = Teacher(encoder, wished.share, wished.temperature)
    smaller = msgspec.structs.replace(
        options,
        encoder=msgspec.structs.replace(options.encoder, dim=wished.dim, layers=wished.layers),
    )
    made_from = {
        "model.onnx": hashlib.sha256(bundle.model).hexdigest(),
        "command": bundle.manifest.command,
        "how": f"distilled, {wished.share:g} of the loss at temperature {wished.temperature:g}",
    }
    trained = train(
        *(data, split, smaller, out, command, progress, teacher, made_from),
        make_words=words_as_in(source, bundle.manifest),
    )
    return side_by_side(
        contestant(bundle, data, progress),
        contestant(trained.bundle, data, progress),
        some_of(split.test, wished.questions, wished.seed),
    )


def _check(wished: Distilling, options: LearnOptions) -> None:
    heads = options.encoder.heads
    if wished.dim < heads or wished.dim % heads or wished.layers < 1:
        raise SettingsError(
            f"--dim {wished.dim} and --layers {wished.layers}: a student has at least one layer, "
            f"and a dim that its {heads} heads divide."
        )
    if not 0 <= wished.share <= 1 or wished.temperature <= 0:
        raise SettingsError(
            f"--share {wished.share} must be from 0 to 1, --temperature {wished.temperature} "
            "above 0."
        )
