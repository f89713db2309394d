from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates import Gathered

class NativeCatalogue:
    def __init__(self, table: FloatArray, facts: FloatArray) -> None: ...
    def look(
        self,
        queries: FloatArray,
        temperature: float,
        own: int,
        gathered: Gathered,
        context: FloatArray,
    ) -> tuple[IntArray, FloatArray, LongArray]: ...

def together(
    gathered: Gathered,
    added_ids: IntArray,
    added_offsets: LongArray,
    of_candidates: FloatArray,
    of_added: FloatArray,
) -> tuple[IntArray, FloatArray, LongArray]: ...
