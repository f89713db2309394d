"""All that training may choose, and what it chooses by the size of the data."""

import msgspec

from endcap.candidates.generators import GeneratorOptions
from endcap.export.blend import BlendOptions
from endcap.export.data.interactions import Interactions
from endcap.export.encoder import EncoderOptions
from endcap.export.fit_blend import BlendFit
from endcap.export.fit_encoder import FitOptions

_LARGE_CATALOGUE = 20_000


class LearnOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that `endcap train` may choose. `refit`: learn anew from all that is known in the end."""

    encoder: EncoderOptions = EncoderOptions()
    fit: FitOptions = FitOptions()
    generators: GeneratorOptions = GeneratorOptions()
    blend: BlendOptions = BlendOptions()
    blend_fit: BlendFit = BlendFit()
    refit: bool = True


def options_for(train: Interactions, n_items: int, seed: int) -> LearnOptions:
    """Defaults by how much there is to learn from, the same for every shop.

    Few events want small steps and much forgetting, many want large batches; a large catalogue
    wants wide vectors.
    """
    events = train.items.size
    is_small = events < 300_000
    return LearnOptions(
        encoder=EncoderOptions(
            dim=64 if is_small or n_items < _LARGE_CATALOGUE else 96,
            dropout=0.3 if is_small else 0.2,
            item_dropout=0.3 if is_small else 0.2,
        ),
        fit=FitOptions(
            epochs=14 if is_small else 8,
            positions=1024 if is_small else 4096,
            seed=seed,
        ),
        blend_fit=BlendFit(seed=seed),
    )
