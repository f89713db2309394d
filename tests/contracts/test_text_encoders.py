"""What every encoder of texts promises: the static student, a transformer in ONNX, and in torch."""

from pathlib import Path

import numpy as np
import pytest

from endcap.bundle import load_bundle
from endcap.deploy.settings import BUNDLES
from endcap.text import StaticEncoder, TextEncoder, load_words

TEXTS = ("milk", "Fluid milk white only, 1 ga", "toilet tissue", "café CRÈME", "牛乳 и молоко")


@pytest.fixture(
    scope="module",
    params=[
        "static",
        pytest.param("onnx", marks=pytest.mark.models),
        pytest.param("torch", marks=pytest.mark.models),
    ],
)
def encoder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> TextEncoder:
    if request.param == "static":
        bundle = BUNDLES / "completejourney"
        return StaticEncoder(load_words(bundle, load_bundle(bundle).manifest).table)
    from tiny_encoder import tiny_bert

    from endcap.export.text.encoder_graph import export_encoder
    from endcap.export.text.teacher import Teacher
    from endcap.serving.onnx_text import OnnxTextEncoder

    folder: Path = tmp_path_factory.mktemp("encoder")
    teacher = Teacher(tiny_bert(folder / "model", ["milk", "fluid", "toilet", "tissue"]))
    if request.param == "torch":
        return teacher
    export_encoder(teacher, folder / "onnx")
    return OnnxTextEncoder(folder / "onnx")


def test_a_vector_for_each_text_in_their_order(encoder: TextEncoder) -> None:
    together = encoder.encode(TEXTS)
    assert together.dtype == np.float32
    assert together.shape[0] == len(TEXTS)
    for row, text in enumerate(TEXTS):
        np.testing.assert_allclose(encoder.encode([text])[0], together[row], atol=1e-5)


def test_vectors_have_length_one(encoder: TextEncoder) -> None:
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(TEXTS), axis=1), 1.0, atol=1e-5)


def test_a_text_without_a_word_is_like_nothing(encoder: TextEncoder) -> None:
    found = encoder.encode(["", "milk", " \n"])
    assert not found[[0, 2]].any()
    assert found[1].any()


def test_no_texts_are_no_vectors(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.encode(["milk"]).shape[1])


def test_a_text_of_any_length_is_encoded(encoder: TextEncoder) -> None:
    found = encoder.encode(["milk " * 3000])
    np.testing.assert_allclose(np.linalg.norm(found), 1.0, atol=1e-5)


def test_a_dictionary_word_is_told_from_a_typing_error(encoder: TextEncoder) -> None:
    assert encoder.is_word("milk")
    assert not encoder.is_word("mlikk")
