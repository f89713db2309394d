"""Fetches wait for company while many events come, and for nobody while few do."""

from endcap.streams.fetch_pace import AT_ONCE_MS, GATHER_MS, FetchPace


class Fetches:
    def __init__(self) -> None:
        self.asked: list[int] = []

    def fetch_when(self, min_bytes: int, max_wait_ms: int) -> None:
        assert (min_bytes > 1) == (max_wait_ms == GATHER_MS)
        self.asked.append(max_wait_ms)


def test_who_reads_much_gathers_until_less_comes() -> None:
    now = 0.0
    fetches = Fetches()
    pace = FetchPace(fetches, lambda: now)

    def second_of(events: int) -> list[int]:
        nonlocal now
        fetches.asked.clear()
        for _ in range(10):
            now += 0.1
            pace.read(events // 10)
        return list(fetches.asked)

    assert second_of(100) == []
    assert second_of(1000) == [GATHER_MS]
    assert second_of(350) == []  # neither few nor many: as it was
    assert second_of(0) == [AT_ONCE_MS]
    assert second_of(350) == []
