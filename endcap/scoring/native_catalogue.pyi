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
