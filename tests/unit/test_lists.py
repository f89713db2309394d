"""The list's wire format."""

import json

from hypothesis import given
from hypothesis import strategies as st

from endcap.lists import ListItem, RecommendationList, decode_list, encode_list, rec_key

lists = st.builds(
    RecommendationList,
    version=st.integers(0, 1 << 53),
    model=st.text(),
    generated_at=st.integers(0, 1 << 53),
    items=st.lists(
        st.builds(
            ListItem,
            id=st.text(),
            score=st.floats(allow_nan=False, allow_infinity=False),
            reason=st.text(),
        )
    ).map(tuple),
)


@given(lists)
def test_a_list_round_trips(ready: RecommendationList) -> None:
    assert decode_list(encode_list(ready)) == ready


def test_the_wire_format_is_the_documented_one() -> None:
    ready = RecommendationList(3, "m", 5, (ListItem("milk", 0.5, "popular right now"),))
    assert json.loads(encode_list(ready)) == {
        "version": 3,
        "model": "m",
        "generated_at": 5,
        "items": [{"id": "milk", "score": 0.5, "reason": "popular right now"}],
    }
    # Redis' forward-only script reads the version at the start of the value.
    assert encode_list(ready).startswith(b'{"version":3,')
    assert rec_key("u") == "endcap:rec:{u}"
