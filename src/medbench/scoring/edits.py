"""Edit distance of two texts."""

from __future__ import annotations


def edit_distance(given: str, true: str) -> int:
    """Fewest insertions, deletions and substitutions of characters between two texts (Levenshtein).

    One addition of numbers of len(true) bits for each character of `given`. Source: Hyyrö (2003), "A bit-vector
    algorithm for computing Levenshtein and Damerau edit distances", after Myers (1999).
    """
    if not true:
        return len(given)
    places: dict[str, int] = {}
    for index, character in enumerate(true):
        places[character] = places.get(character, 0) | 1 << index
    every, last = (1 << len(true)) - 1, 1 << (len(true) - 1)
    rises, falls, distance = every, 0, len(true)
    for character in given:
        same = places.get(character, 0)
        level = (((same & rises) + rises) ^ rises) | same | falls
        up, down = falls | ~(level | rises) & every, level & rises
        distance += bool(up & last) - bool(down & last)
        up, down = (up << 1 | 1) & every, down << 1 & every
        rises, falls = down | ~(level | up) & every, up & level
    return distance
