"""A slate in which categories take turns, as much as is wanted: maximal marginal relevance.

After Carbonell and Goldstein, "The use of MMR", SIGIR 1998, with the category as what makes two
items alike. https://doi.org/10.1145/290941.291025
"""

import heapq
from collections.abc import Iterator, Sequence


def mixed(
    scores: Sequence[float],
    categories: Sequence[str],
    strength: float,
    chosen: dict[str, int],
    per_category: int,
) -> Iterator[int]:
    """Places of scores [n], which are best first, in the order in which they should stand.

    Each next place is the one with the highest `(1 - strength) * score - strength * alike`: scores
    scaled to 0 to 1, `alike` 0 for the first of a category, 1/2 for the second, 3/4 for the third.
    `chosen`: how many of each category stand there already; changed in place. Items without a
    category are alike to none. At most `per_category` of one.

    >>> list(mixed([9, 8, 7, 1], ["milk", "milk", "tea", "tea"], 0.0, {}, 5))
    [0, 1, 2, 3]
    >>> list(mixed([9, 8, 7, 1], ["milk", "milk", "tea", "tea"], 0.5, {}, 5))
    [0, 2, 1, 3]
    """
    if not scores:
        return
    spread = max(scores[0] - scores[-1], 1e-9)
    relevance = [(score - scores[-1]) / spread for score in scores]
    # Within a category the best comes first: only the head of each can be next.
    queues: dict[str, list[int]] = {}
    heads: list[tuple[float, int, str]] = []

    def push(place: int, category: str) -> None:
        count = chosen.get(category, 0) if category else 0
        if not category or count < per_category:
            value = (1 - strength) * relevance[place] - strength * (1 - 0.5**count)
            heapq.heappush(heads, (-value, place, category))

    for place in range(len(scores) - 1, -1, -1):
        category = categories[place]
        if category:
            queues.setdefault(category, []).append(place)
        else:
            push(place, "")
    for category, queue in queues.items():
        push(queue.pop(), category)
    while heads:
        _, place, category = heapq.heappop(heads)
        yield place
        if category:
            chosen[category] = chosen.get(category, 0) + 1
            if queues[category]:
                push(queues[category].pop(), category)
