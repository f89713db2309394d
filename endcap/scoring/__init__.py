"""From sessions and candidates to scores, without padding: what is served on a CPU."""

from endcap.scoring.scored import Scored, ScoredRow, without_padding
from endcap.scoring.staged import Runners, StagedModel, StageGraphs

__all__ = ["Runners", "Scored", "ScoredRow", "StageGraphs", "StagedModel", "without_padding"]
