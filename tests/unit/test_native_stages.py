"""The compiled encoder and blend are what their ONNX graphs say, for any widths that they take."""

from pathlib import Path

import numpy as np
import pytest

from endcap import deploy
from endcap.arrays import FloatArray
from endcap.batches import gap_steps, known_events, least_gaps_ms
from endcap.bundle import load_bundle
from endcap.candidates import Crowd
from endcap.candidates.shopper import make_crowd
from endcap.errors import BundleError
from endcap.scoring.onnx_weights import (
    BlendWeights,
    BlockWeights,
    EncoderWeights,
    read_blend,
    read_encoder,
)
from endcap.scoring.staged import IS_BUILT, compiled_stages, stages_in_graphs
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.stages import open_runners
from endcap.sessions import Interaction, Session

COMMITTED = Path(deploy.__file__).parent / "bundles" / "completejourney"
N_ITEMS = 40
built = pytest.mark.skipif(not IS_BUILT, reason="the compiled path is not built here")


def crowd_of(lengths: list[int], seed: int = 0) -> Crowd:
    """Sessions of so many events, some of items that nobody knows."""
    rng = np.random.default_rng(seed)
    index_of = {f"item {n}": n for n in range(1, N_ITEMS + 1)}
    sessions = []
    for number, length in enumerate(lengths):
        times = np.cumsum(rng.exponential(10.0 ** rng.uniform(2, 10, length))).astype(int).tolist()
        names = rng.integers(1, N_ITEMS + 5, length).tolist()
        sessions.append(
            Session(
                str(number),
                tuple(
                    Interaction(f"item {name}", 1 + at % 3, when)
                    for at, (name, when) in enumerate(zip(names, times, strict=True))
                ),
            )
        )
    sessions.append(Session("stranger", (Interaction("nobody knows it", 1, 5),)))
    return make_crowd(sessions, [10**13] * len(sessions), index_of, N_ITEMS)


def random_weights(dim: int, heads: int, layers: int, length: int) -> EncoderWeights:
    rng = np.random.default_rng(dim)

    def draw(*shape: int) -> FloatArray:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    def block() -> BlockWeights:
        d = dim
        return BlockWeights(
            *(1 + draw(d), draw(d), draw(d, 3 * d), draw(3 * d), draw(d, d), draw(d)),
            *(1 + draw(d), draw(d), draw(d, 4 * d), draw(4 * d), draw(4 * d, d), draw(d)),
        )

    return EncoderWeights(
        heads, draw(13, dim), draw(16, dim), draw(length, dim),
        tuple(block() for _ in range(layers)), 1 + draw(dim), draw(dim), draw(dim, dim),
        draw(dim, dim), draw(dim, dim),
    )  # fmt: skip


def plainly(weights: EncoderWeights, table: FloatArray, crowd: Crowd) -> FloatArray:
    """The encoder of `endcap.export.encoder`, one session at a time, in float64."""
    length, dim = weights.places.shape
    known, found = known_events(crowd, length), np.zeros((crowd.size, dim))
    for row in range(crowd.size):
        own = known.row == row
        n = int(own.sum())
        if not n:
            continue
        scaled = table[known.items[own]].astype(np.float64) * 0.3 * dim**0.5
        x = scaled + weights.types[known.types[own]] + weights.gaps[known.gaps[own]]
        x = x + weights.places[:n]
        for block in weights.blocks:
            parts = normal(x, block.ln_1_weight, block.ln_1_bias) @ block.attend + block.attend_bias
            query, key, value = (
                part.reshape(n, weights.heads, -1).swapaxes(0, 1) for part in np.split(parts, 3, 1)
            )
            logits = query @ key.swapaxes(1, 2) / np.sqrt(dim // weights.heads)
            logits = np.where(np.tri(n, dtype=bool), logits, -np.inf)
            heard = (softmax(logits) @ value).swapaxes(0, 1).reshape(n, dim)
            x = x + heard @ block.project + block.project_bias
            wide = normal(x, block.ln_2_weight, block.ln_2_bias) @ block.widen + block.widen_bias
            gelu = wide / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3)))
            x = x + gelu @ block.narrow + block.narrow_bias
        x = normal(x, weights.ln_weight, weights.ln_bias)
        asked = (x @ weights.key) @ (x[-1] @ weights.ask) / np.sqrt(dim)
        query = softmax(asked) @ scaled + x[-1] @ weights.add
        found[row] = query / np.linalg.norm(query)
    return found.astype(np.float32)


def normal(x: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    away = x - x.mean(1, keepdims=True)
    scaled: FloatArray = away / np.sqrt((away**2).mean(1, keepdims=True) + 1e-5) * weight + bias
    return scaled


def softmax(x: FloatArray) -> FloatArray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    shares: FloatArray = powers / powers.sum(-1, keepdims=True)
    return shares


@built
@pytest.mark.parametrize(
    ("dim", "heads", "layers", "length"),
    [(64, 2, 2, 50), (96, 4, 1, 50), (32, 1, 3, 7), (128, 1, 1, 130), (64, 8, 0, 20)],
)
def test_queries_are_those_of_the_plain_encoder(
    dim: int, heads: int, layers: int, length: int
) -> None:
    from endcap.scoring.native_stages import NativeEncoder

    weights = random_weights(dim, heads, layers, length)
    table = np.random.default_rng(1).normal(size=(N_ITEMS + 1, dim)).astype(np.float32)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    encoder = NativeEncoder(weights, table, least_gaps_ms())
    for lengths in ([1], [0, 3, 200, 5, 0], list(range(60)), [150] * 4, []):
        crowd = crowd_of(lengths, len(lengths))
        np.testing.assert_allclose(
            encoder.encode(crowd), plainly(weights, table, crowd), atol=2e-5, err_msg=str(lengths)
        )


@built
@pytest.mark.parametrize("width", [64, 50, 8])
def test_scores_are_those_of_the_plain_blend(width: int) -> None:
    from endcap.scoring.native_stages import NativeBlend

    rng = np.random.default_rng(width)
    shapes = ((43, width), (width,), (width, width), (width,), (width,))
    weights = BlendWeights(*(rng.normal(0, 0.3, each).astype(np.float32) for each in shapes), 0.5)
    blend = NativeBlend(weights)
    for rows in (0, 1, 95, 96, 97, 700):
        told = rng.normal(size=(rows, 43)).astype(np.float32)
        one = np.maximum(told @ weights.first + weights.first_bias, 0)
        other = np.maximum(one @ weights.second + weights.second_bias, 0)
        np.testing.assert_allclose(blend.weigh(told), other @ weights.last + 0.5, atol=1e-4)
    told[3, 5] = np.nan
    assert np.flatnonzero(np.isnan(blend.weigh(told))).tolist() == [3]


@built
def test_the_committed_graphs_say_the_same() -> None:
    bundle = load_bundle(COMMITTED)
    assert bundle.stages is not None
    table = bundle.stages.table / np.linalg.norm(bundle.stages.table, axis=1, keepdims=True).clip(
        1e-12
    )
    known = list(bundle.met)
    sessions = [
        Session(
            str(n),
            tuple(Interaction(known[(7 * n + at) % 900], 1 + at % 2, at * n) for at in range(n)),
            updated_ms=n * n,
        )
        for n in range(60)
    ]
    crowd = bundle.crowd(sessions)
    told = bundle.gatherer.gather(crowd).told
    in_graphs = stages_in_graphs(
        open_runners(bundle.stages, bundle.manifest.name, 1), table, bundle.manifest.max_length
    )
    compiled = compiled_stages(bundle.stages, table)
    np.testing.assert_allclose(compiled.encode(crowd), in_graphs.encode(crowd), atol=2e-6)
    np.testing.assert_allclose(compiled.weigh(told), in_graphs.weigh(told), atol=1e-4)


def test_a_step_begins_at_its_least_gap() -> None:
    least = least_gaps_ms()
    np.testing.assert_array_equal(gap_steps(least), np.arange(1, 16))
    np.testing.assert_array_equal(gap_steps(least[1:] - 1), np.arange(1, 15))


@built
def test_graphs_that_the_compiled_path_does_not_know_run_as_they_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bundle = load_bundle(COMMITTED)
    assert bundle.stages is not None
    other = bundle.stages.encoder.replace(b"/encoder/key/MatMul", b"/encoder/kez/MatMul")
    changed = bundle._replace(stages=bundle.stages._replace(encoder=other))
    scorer = OnnxScorer(changed, threads=1)
    assert "has no /encoder/key/MatMul" in caplog.text
    crowd = bundle.crowd([Session("u", (Interaction(bundle.items[4].item_id, 1, 5),))])
    gathered = bundle.gatherer.gather(crowd)
    ours, theirs = (s.score(crowd, gathered) for s in (scorer, OnnxScorer(bundle, threads=1)))
    np.testing.assert_array_equal(ours.ids, theirs.ids)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)


def test_another_graph_is_refused() -> None:
    bundle = load_bundle(COMMITTED)
    assert bundle.stages is not None
    with pytest.raises(BundleError, match="not two layers with ReLU"):
        read_blend(bundle.stages.encoder)
    with pytest.raises(BundleError, match="has no /encoder/ask/MatMul"):
        read_encoder(bundle.stages.blend)
    with pytest.raises(BundleError, match="no ONNX file"):
        read_blend(b"not a graph")
    with pytest.raises(BundleError, match="ends within"):
        read_blend(b"\x3a\xff")
