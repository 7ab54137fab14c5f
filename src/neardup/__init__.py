"""Near-duplicate text detection: raw text in, a verified and explained decision out.

>>> import neardup
>>> result = neardup.deduplicate(["The cat sat on the mat today.", "the cat sat on the mat, today", "Dogs bark."])
>>> result.kept
[0, 2]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neardup.banding import Banding
    from neardup.dedup import deduplicate
    from neardup.errors import (
        CorruptIndexError,
        DuplicateIdError,
        IncompatibleError,
        InputError,
        MissingDependencyError,
        NearDupError,
        ParameterError,
        RecallWarning,
        ResumeWarning,
        ServerError,
        UnknownDocumentError,
    )
    from neardup.evaluation import Evaluation, evaluate
    from neardup.index import Index
    from neardup.minhash import Estimate, MinHash, Signature, Signatures
    from neardup.profiles import Profile
    from neardup.results import Removed, Result
    from neardup.shingling import Shingling
    from neardup.streaming import unique
    from neardup.tuning import Tuning, tune
    from neardup.verify import Match, containment, jaccard

__version__ = "0.1.0"

_HOMES = {
    "banding": ["Banding"],
    "dedup": ["deduplicate"],
    "errors": [
        "CorruptIndexError",
        "DuplicateIdError",
        "IncompatibleError",
        "InputError",
        "MissingDependencyError",
        "NearDupError",
        "ParameterError",
        "RecallWarning",
        "ResumeWarning",
        "ServerError",
        "UnknownDocumentError",
    ],
    "evaluation": ["Evaluation", "evaluate"],
    "index": ["Index"],
    "minhash": ["Estimate", "MinHash", "Signature", "Signatures"],
    "profiles": ["Profile"],
    "results": ["Removed", "Result"],
    "shingling": ["Shingling"],
    "streaming": ["unique"],
    "tuning": ["Tuning", "tune"],
    "verify": ["Match", "containment", "jaccard"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Banding",
    "CorruptIndexError",
    "DuplicateIdError",
    "Estimate",
    "Evaluation",
    "IncompatibleError",
    "Index",
    "InputError",
    "Match",
    "MinHash",
    "MissingDependencyError",
    "NearDupError",
    "ParameterError",
    "Profile",
    "RecallWarning",
    "Removed",
    "Result",
    "ResumeWarning",
    "ServerError",
    "Shingling",
    "Signature",
    "Signatures",
    "Tuning",
    "UnknownDocumentError",
    "__version__",
    "containment",
    "deduplicate",
    "evaluate",
    "jaccard",
    "tune",
    "unique",
]


def __getattr__(name: str) -> Any:
    """Load a public name's module when the name is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'neardup' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"neardup.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
