"""The names of the orders in which a batch can be worked."""

import enum


class Order(enum.StrEnum):
    """Shortest first shows results soonest; longest first ends the whole batch soonest."""

    SHORTEST_FIRST = "shortest-first"
    LONGEST_FIRST = "longest-first"
    INPUT = "input"
