"""All opponents, from the simplest on."""

from endcap.export.opponents.gru4rec import GRU4REC
from endcap.export.opponents.item_neighbours import CO_VISITATION, ITEM_KNN
from endcap.export.opponents.opponent import Opponent
from endcap.export.opponents.popularity import PERSONAL_POP, POP, SESSION_POP
from endcap.export.opponents.sasrec import SASREC
from endcap.export.opponents.session_neighbours import VMIS_KNN, VSTAN

LINE_UP: tuple[Opponent, ...] = (
    POP,
    SESSION_POP,
    PERSONAL_POP,
    ITEM_KNN,
    CO_VISITATION,
    VMIS_KNN,
    VSTAN,
    GRU4REC,
    SASREC,
)
