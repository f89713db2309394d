"""The generators' indexes as bytes: small, without pickles, and ready after one read."""

import io

import numpy as np
import numpy.typing as npt

from endcap.candidates.generators import Generators
from endcap.candidates.neighbours import Neighbours, inverted
from endcap.candidates.returns import Returns
from endcap.candidates.session_index import build_session_index

_NONE_PLACED = np.empty(0, dtype=np.int32)


def encode_generators(generators: Generators) -> bytes:
    """A compressed npz. What can be found again from the sessions is not written."""
    sessions = generators.sessions
    narrow = np.uint16 if generators.popularity.size <= 1 << 16 else np.int32
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "popular": generators.popular.astype(narrow),
        "popularity": generators.popularity,
        "popularity_now": generators.popularity_now,
        "returns_share": generators.returns.share.astype(np.float16),
        "returns_gap_days": generators.returns.gap_days.astype(np.float16),
        "session_sizes": np.diff(sessions.session_offsets).astype(np.int32),
        "session_items": sessions.session_items.astype(narrow),
        # Differences of rising times are small, and small numbers compress.
        "session_times_ms": np.diff(sessions.session_times_ms, prepend=0),
        "most_recent": np.array(np.diff(sessions.item_offsets).max(initial=1)),
    }
    for name, neighbours in (
        ("following", generators.following),
        ("together", generators.together),
        ("alike", generators.alike),
    ):
        arrays[f"{name}_ids"] = neighbours.ids.astype(narrow)
        # Half precision is plenty for scores that only rank.
        arrays[f"{name}_scores"] = neighbours.scores.astype(np.float16)
    if generators.placed.size:
        arrays["placed"] = generators.placed.astype(narrow)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def decode_generators(raw: bytes) -> Generators:
    """The inverse of `encode_generators`, but for the precision of neighbours' scores."""
    with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
        sizes = arrays["session_sizes"]
        sessions = np.repeat(np.arange(sizes.size), sizes)
        popularity = arrays["popularity"].astype(np.float32)
        following = _neighbours(arrays["following_ids"], arrays["following_scores"])
        return Generators(
            popular=arrays["popular"].astype(np.int32),
            popularity=popularity,
            popularity_now=arrays["popularity_now"].astype(np.float32),
            returns=Returns(
                arrays["returns_share"].astype(np.float32),
                arrays["returns_gap_days"].astype(np.float32),
            ),
            sessions=build_session_index(
                arrays["session_items"].astype(np.int32),
                sessions,
                np.cumsum(arrays["session_times_ms"])[sessions],
                popularity.size - 1,
                int(arrays["most_recent"]),
            ),
            following=following,
            preceding=inverted(following, popularity),
            together=_neighbours(arrays["together_ids"], arrays["together_scores"]),
            alike=_neighbours(arrays["alike_ids"], arrays["alike_scores"]),
            placed=arrays["placed"].astype(np.int32) if "placed" in arrays else _NONE_PLACED,
        )


def _neighbours(ids: npt.NDArray[np.generic], scores: npt.NDArray[np.generic]) -> Neighbours:
    return Neighbours(ids.astype(np.int32), scores.astype(np.float32))
