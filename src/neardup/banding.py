"""Signatures to band keys: which documents become candidates, and with what probability.

A signature is cut into ``bands`` of ``rows`` slots; two documents are candidates when they agree on all rows of a band
(Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.errors import ParameterError, RecallWarning, check_fraction, check_integer, warn_caller
from neardup.shingling import HashArray

FloatArray = npt.NDArray[np.float64]


def collision_probability(similarity: Any, bands: int, rows: int) -> Any:
    """The S-curve: 1 - (1 - similarity ** rows) ** bands."""
    return 1 - (1 - similarity**rows) ** bands


@dataclass(frozen=True, slots=True)
class Banding:
    """How many bands of how many rows.

    Parameters
    ----------
    bands
        Buckets that each document falls into, 1 to 4096.
    rows
        Slots that must all agree within one band, 1 to 4096.

    Raises
    ------
    ParameterError
        If either is out of range, or both need more than 4096 slots.

    Examples
    --------
    >>> banding = Banding.for_threshold(0.8)
    >>> banding
    Banding(bands=21, rows=6)
    >>> round(banding.probability(0.8), 4), round(banding.probability(0.3), 4)
    (0.9983, 0.0152)
    """

    bands: int
    rows: int

    def __post_init__(self) -> None:
        check_integer("bands", self.bands, 1, 4096)
        check_integer("rows", self.rows, 1, 4096)
        if self.bands * self.rows > 4096:
            raise ParameterError(
                f"{self.bands} bands of {self.rows} rows need {self.bands * self.rows} slots; a signature has at most 4096"
            )

    @classmethod
    def for_threshold(cls, threshold: float, recall: float = 0.99, num_perm: int = 128) -> Banding:
        """The most selective banding that finds a pair at the threshold with probability ``recall`` or more.

        The largest number of rows whose ``num_perm // rows`` bands reach the recall, and then all those bands. Candidates
        below the threshold cost time, not precision: verification removes them.

        Parameters
        ----------
        threshold
            Similarity, above 0 and at most 1.
        recall
            Probability at the threshold, above 0 and below 1; of pairs that share but one or two shingles it holds up to 0.99.
        num_perm
            Slots of the signatures, 2 to 4096.

        Warns
        -----
        RecallWarning
            If even one row a band does not reach the recall.

        Examples
        --------
        >>> [Banding.for_threshold(t) for t in (0.5, 0.7, 0.9)]
        [Banding(bands=42, rows=3), Banding(bands=32, rows=4), Banding(bands=12, rows=10)]
        """
        check_fraction("threshold", threshold, one=True)
        check_fraction("recall", recall, one=False, remedy="; no number of bands is certain, 0.999 is possible")
        check_integer("num_perm", num_perm, 2, 4096)
        for rows in range(num_perm, 0, -1):
            bands = num_perm // rows
            if collision_probability(threshold, bands, rows) >= recall:
                return cls(bands, rows)
        reached = collision_probability(threshold, num_perm, 1)
        warn_caller(
            f"recall {recall} at threshold {threshold} is out of reach with num_perm={num_perm}: {reached:.3f} is the most; raise num_perm",
            RecallWarning,
        )
        return cls(num_perm, 1)

    @overload
    def probability(self, similarity: float) -> float: ...
    @overload
    def probability(self, similarity: FloatArray) -> FloatArray: ...
    def probability(self, similarity: float | FloatArray) -> float | FloatArray:
        """Probability that two documents of this similarity become candidates.

        Below about 200 shingles the curve is a little steeper than this formula. Of pairs that share but one or two shingles it
        says too much: of those that share one of two, 42 bands of 3 find 0.9937, not 0.9963, and 64 of 2 find 0.9984.

        Parameters
        ----------
        similarity
            Of their shingle sets, from 0 to 1: a number or an array of such.

        Returns
        -------
        float or numpy.ndarray
            From 0 to 1, of the shape of ``similarity``.

        Examples
        --------
        >>> round(Banding(9, 13).probability(0.8), 2)    # what minimising two areas would give: 60 % of such pairs lost
        0.4
        """
        curve: float | FloatArray = collision_probability(similarity, self.bands, self.rows)
        return curve

    def curve(self, width: int = 50) -> str:
        """The S-curve as text: a line for each similarity from 0.1 to 1.0.

        Parameters
        ----------
        width
            Characters of a bar that stands for certainty.

        Examples
        --------
        >>> print(Banding(21, 6).curve(20))
        0.1                        0.0000
        0.2                        0.0013
        0.3 ▎                      0.0152
        0.4 █▋                     0.0826
        0.5 █████▋                 0.2816
        0.6 ████████████▋          0.6334
        0.7 ██████████████████▌    0.9278
        0.8 ███████████████████▉   0.9983
        0.9 ███████████████████▉   1.0000
        1.0 ████████████████████   1.0000
        """
        lines = []
        for tenth in range(1, 11):
            p = self.probability(tenth / 10)
            eighths = int(p * width * 8)
            bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
            lines.append(f"{tenth / 10:.1f} {bar:<{width}}   {p:.4f}")
        return "\n".join(lines)

    def plot(self) -> Any:
        """The S-curve as a matplotlib figure.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.

        Examples
        --------
        >>> Banding(21, 6).plot().axes[0].get_ylabel()
        'probability'
        """
        from neardup.notebook import axes

        own = axes()
        similarities = np.linspace(0, 1, 201)
        own.plot(similarities, self.probability(similarities))
        own.set(xlabel="similarity", ylabel="probability", title=repr(self), xlim=(0, 1), ylim=(0, 1.02))
        own.grid(alpha=0.3)
        return own.figure

    def _repr_html_(self) -> str:
        from neardup.notebook import curve, table

        found = [(f"{tenth / 10:.1f}", f"{self.probability(tenth / 10):.4f}") for tenth in range(3, 11)]
        return curve(self.probability) + table(repr(self), found, ("similarity", "found"))

    def keys(self, values: npt.NDArray[np.uint32] | HashArray, threads: int = 1) -> HashArray:
        """The band keys of signatures: uint64[n, bands].

        Rows are taken in a frozen pseudo-random order of the slots, because neighbouring slots are correlated.

        Parameters
        ----------
        values
            The slots of each, uint32[n, num_perm], or uint64 where the scheme says so.
        threads
            How many.

        Raises
        ------
        ParameterError
            If the signatures have fewer slots than the bands need.

        Examples
        --------
        >>> from neardup import MinHash
        >>> Banding(21, 6).keys(MinHash().sign_many(["one two", "One, two!"]).values).shape
        (2, 21)
        """
        slots = self.bands * self.rows
        if slots > values.shape[1]:
            raise ParameterError(
                f"{self.bands} bands of {self.rows} rows need {slots} slots, the signatures have {values.shape[1]}; raise num_perm"
            )
        return _kernels.band_keys(values, self.bands, self.rows, threads)
