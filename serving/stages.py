"""A bundle's stages in ONNX Runtime on the CPU."""

from endcap.arrays import FloatArray
from endcap.bundle import Bundle
from endcap.candidates.features import facts_of
from endcap.scoring import StagedModel, StageGraphs, Stages
from endcap.scoring.packed import Packed
from endcap.scoring.staged import IS_BUILT
from endcap.serving.whole_graph import PROVIDERS, open_graph


def open_stages(bundle: Bundle, graphs: StageGraphs, threads: int) -> StagedModel:
    """Ready to score. `threads`: of ONNX Runtime, 0 for as many as there are cores.

    Raises:
        BundleError: ONNX Runtime cannot load a graph.
    """
    encoder, blend = (
        open_graph(graph, bundle.manifest.name, PROVIDERS["cpu"], threads)
        for graph in (graphs.encoder, graphs.blend)
    )

    def encode(packed: Packed) -> FloatArray:
        queries: FloatArray = encoder.run(["queries"], packed._asdict())[0]
        return queries

    def weigh(inputs: FloatArray) -> FloatArray:
        scores: FloatArray = blend.run(["scores"], {"inputs": inputs})[0]
        return scores

    return StagedModel(
        Stages(encode, weigh, graphs.temperature, graphs.own),
        graphs.table,
        facts_of(bundle.generators),
        bundle.manifest.max_length,
        bundle.gatherer.natively and IS_BUILT,
    )
