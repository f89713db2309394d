from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates.generators import Generators
from endcap.candidates.native_tables import Derived, Tables
from endcap.candidates.shopper import Crowd

class NativeGather:
    def __init__(self, generators: Generators, tables: Tables, facts: FloatArray) -> None: ...
    def gather(
        self, crowd: Crowd, derived: Derived
    ) -> tuple[IntArray, FloatArray, IntArray, IntArray, LongArray]: ...
