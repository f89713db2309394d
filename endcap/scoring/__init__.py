"""From sessions and candidates to scores, without padding: what is served on a CPU."""

from endcap.scoring.scored import Scored, ScoredRow, without_padding
from endcap.scoring.staged import StagedModel, StageGraphs, Stages

__all__ = ["Scored", "ScoredRow", "StageGraphs", "StagedModel", "Stages", "without_padding"]
