"""What a query asks, and how it is answered: matches by a measure, the best first."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from neardup.errors import ParameterError, RecallWarning, check_fraction, check_integer, one_of, warn_caller
from neardup.ids import id_order
from neardup.profiles import Settings
from neardup.verify import Match

Measure = Literal["similarity", "containment"]
#: The measure of a query that names none: compared by identity, which costs nothing.
SIMILARITY: Measure = "similarity"
#: A threshold below every similarity that is not 0.
ANY = sys.float_info.min


class Matches(list[Match]):
    """The matches of one query, best first.

    Attributes
    ----------
    truncated
        Whether a bucket was longer than one look-up reads, so that a look-alike of very common text may be missing. What
        ``top`` leaves out does not count.
    """

    truncated: bool = False

    def _repr_html_(self) -> str:
        from neardup.notebook import table

        title = f"{len(self)} match{'' if len(self) == 1 else 'es'}{', of very common text: some may be missing' if self.truncated else ''}"
        return table(title, ((match.id, match.similarity, match.containment) for match in self), ("id", "similarity", "containment"))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query asks of its candidates: matches by this measure, at this threshold or above, so many at most.

    The similarity of those that are looked at is ``least`` or above.

    Examples
    --------
    >>> matches = Matches([Match("b", 0.6, 0.7, True), Match("a", 0.6, 0.7, True)])
    >>> Asked(1, 0.5, "similarity", 0.5).of_all(matches)
    [Match(id='a', similarity=0.6, containment=0.7, exact=True)]
    """

    top: int | None
    threshold: float
    measure: Measure
    least: float

    @classmethod
    def of(cls, settings: Settings, top: int | None = None, threshold: float | None = None, measure: Measure = SIMILARITY) -> Asked:
        """What is asked of an index of some settings.

        Raises
        ------
        ParameterError
            If ``top``, ``threshold`` or ``measure`` is not what it may be.

        Warns
        -----
        RecallWarning
            If ``threshold`` is below the index's, for which the bands were chosen.
        """
        if top is not None:
            check_integer("top", top, 1, 2**31, "; without it all come")
        if not one_of(measure, "similarity", "containment"):
            raise ParameterError(f"measure is {measure!r}; it is 'similarity' or 'containment'")
        if settings.inside:
            measure = "containment"
        if threshold is None:
            threshold = settings.threshold
        else:
            check_fraction("threshold", threshold, one=True)
            if threshold < settings.threshold and settings.verify in ("exact", "estimate"):
                banding = settings.banding
                warn_caller(
                    f"documents at {threshold} are found with a probability of {banding.probability(threshold):.3g}"
                    f"{' at most' if measure == 'containment' else ''} by {banding.bands} bands of {banding.rows} rows; "
                    "make an index of that threshold",
                    RecallWarning,
                )
        return cls(top, float(threshold), measure, float(threshold) if measure == SIMILARITY or settings.inside else ANY)

    def of_all(self, matches: Matches) -> Matches:
        """Of all candidates those that are matches, the best first, equals in order of id, so many as are asked for."""
        similar = self.measure == SIMILARITY
        if not similar:
            matches[:] = [match for match in matches if match.containment >= self.threshold]
        if len(matches) > 1:
            matches.sort(key=lambda match: id_order(match.id))
            matches.sort(key=attrgetter("similarity", "containment") if similar else attrgetter("containment", "similarity"), reverse=True)
            if self.top is not None:
                del matches[self.top :]
        return matches
