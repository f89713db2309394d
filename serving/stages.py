"""A bundle's stages in ONNX Runtime on the CPU."""

from endcap.arrays import FloatArray
from endcap.bundle import Bundle
from endcap.candidates.features import facts_of
from endcap.scoring import Runners, StagedModel, StageGraphs
from endcap.scoring.packed import Packed
from endcap.scoring.staged import IS_BUILT
from endcap.serving.whole_graph import PROVIDERS, open_graph


def open_stages(bundle: Bundle, graphs: StageGraphs, threads: int) -> StagedModel:
    """Ready to score. `threads`: of ONNX Runtime, 0 for as many as there are cores.

    Raises:
        BundleError: ONNX Runtime cannot load a graph.
    """
    return StagedModel(
        graphs,
        open_runners(graphs, bundle.manifest.name, threads),
        facts_of(bundle.generators),
        bundle.manifest.max_length,
        bundle.gatherer.natively and IS_BUILT,
    )


def open_runners(graphs: StageGraphs, name: str, threads: int) -> Runners:
    """Both graphs of bundle `name`, each in a session of its own.

    Raises:
        BundleError: ONNX Runtime cannot load a graph.
    """
    encoder, blend = (
        open_graph(graph, name, PROVIDERS["cpu"], threads)
        for graph in (graphs.encoder, graphs.blend)
    )

    def encode(packed: Packed) -> FloatArray:
        queries: FloatArray = encoder.run(["queries"], packed._asdict())[0]
        return queries

    def weigh(inputs: FloatArray) -> FloatArray:
        scores: FloatArray = blend.run(["scores"], {"inputs": inputs})[0]
        return scores

    return Runners(encode, weigh)
