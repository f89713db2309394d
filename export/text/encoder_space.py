"""Items and shoppers in the Transformer's own space, for the cold-start experiment."""

import msgspec
import numpy as np
import torch

from endcap.arrays import FloatArray
from endcap.export.data.interactions import Cases, Interactions
from endcap.export.encoder import SessionEncoder
from endcap.export.fit_encoder import fit_encoder
from endcap.export.learn_options import options_for
from endcap.export.progress import Progress
from endcap.export.retrieval import all_item_vectors, question_vectors
from endcap.export.text.cold_start import Learn, Space


class EncoderSpace:
    """A `Space`: normalised item vectors, and the state after each history."""

    def __init__(self, encoder: SessionEncoder) -> None:
        self._encoder = encoder
        vectors = all_item_vectors(encoder).cpu().numpy()
        self.items: FloatArray = np.asarray(vectors, dtype=np.float32)

    def shoppers(self, cases: Cases) -> FloatArray:
        """A vector for each question [n, d]."""
        return np.asarray(question_vectors(self._encoder, cases).cpu().numpy(), dtype=np.float32)


def encoder_space(epochs: int, progress: Progress) -> Learn:
    """What learns such a space in so many epochs, with the defaults for the data's size."""

    def learn(known: Interactions, n_items: int, seed: int) -> Space:
        options = options_for(known, n_items, seed)
        torch.manual_seed(seed)
        encoder = SessionEncoder(n_items, options.encoder)
        fit = msgspec.structs.replace(options.fit, epochs=epochs)
        fit_encoder(encoder, known, None, fit, progress)
        return EncoderSpace(encoder)

    return learn
