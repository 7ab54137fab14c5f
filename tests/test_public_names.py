"""The public names: which there are, where they live, and that each explains itself by an example."""

import importlib.metadata
import inspect
import re
import typing
from pathlib import Path

import pyarrow as pa
import pytest

import neardup

ROOT = Path(__file__).parents[1]

PUBLIC = [
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

OBJECTS = [name for name in PUBLIC if name != "__version__"]
ERRORS = [name for name in OBJECTS if name.endswith(("Error", "Warning"))]

#: The builtin exception by which someone who has not met neardup would catch each error.
BUILTIN = {
    "CorruptIndexError": ValueError,
    "DuplicateIdError": ValueError,
    "IncompatibleError": ValueError,
    "InputError": ValueError,
    "MissingDependencyError": ImportError,
    "ParameterError": ValueError,
    "RecallWarning": UserWarning,
    "ResumeWarning": UserWarning,
    "ServerError": ConnectionError,
    "UnknownDocumentError": KeyError,
}


def test_the_public_names_are_these():
    """Adding or taking away a name is a decision: it changes this list."""
    assert sorted(neardup.__all__) == PUBLIC
    assert sorted(dir(neardup)) == PUBLIC
    assert sorted(["__version__", *(name for names in neardup._HOMES.values() for name in names)]) == PUBLIC


@pytest.mark.parametrize("name", OBJECTS)
def test_a_public_name_comes_from_the_project(name):
    """Each name has one home, a module of the project, under the same name."""
    thing = getattr(neardup, name)
    assert thing.__module__.split(".")[0] == "neardup"
    assert getattr(importlib.import_module(thing.__module__), thing.__name__) is thing
    assert thing.__name__ == name


@pytest.mark.parametrize("name", OBJECTS)
def test_a_public_name_explains_itself(name):
    """A docstring says what it is; but for the errors, an example shows it, in the class or in one of its methods."""
    thing = getattr(neardup, name)
    assert inspect.getdoc(thing), name
    if name not in ERRORS:
        methods = [member for key, member in vars(thing).items() if not key.startswith("_")] if inspect.isclass(thing) else []
        docs = [inspect.getdoc(member) or "" for member in [thing, *methods]]
        assert any(">>> " in doc for doc in docs), f"{name} has no example"


@pytest.mark.parametrize("name", [name for name in OBJECTS if inspect.isclass(getattr(neardup, name))])
def test_every_public_method_has_a_docstring(name):
    """What a class offers, it describes; what it takes over from a builtin is described there."""
    for key, member in vars(getattr(neardup, name)).items():
        if not key.startswith("_") and (callable(member) or isinstance(member, property | classmethod | staticmethod)):
            assert inspect.getdoc(member), f"{name}.{key}"


#: Parameters that the sentence about a method explains: the document itself.
PLAIN = {"self", "cls", "text", "id", "tokens", "token_hashes"}


@pytest.mark.parametrize("name", [name for name in OBJECTS if inspect.isclass(getattr(neardup, name)) and name not in ERRORS])
def test_public_methods_explain_their_parameters(name):
    """One by one, in a section of the docstring."""
    for key, member in vars(getattr(neardup, name)).items():
        function = getattr(member, "__func__", member)  # of a class method
        if key.startswith("_") or not inspect.isfunction(function):
            continue
        section = re.search(r"Parameters\n-+\n(.*?)(\n\n\w+\n-+\n|$)", inspect.getdoc(function) or "", re.DOTALL)
        for parameter in inspect.signature(function).parameters.keys() - PLAIN:
            told = section[1] if section else ""
            assert re.search(rf"^(\w+, )*{parameter}(, \w+)*$", told, re.MULTILINE), f"{name}.{key} has {parameter}"


@pytest.mark.parametrize("name", OBJECTS)
def test_the_types_of_a_public_name_are_found(name):
    """``typing.get_type_hints`` resolves them, once it is told where Arrow is, which is imported when it is used."""
    thing = getattr(neardup, name)
    members = (
        [member for key, member in vars(thing).items() if not key.startswith("_") or key == "__init__"] if inspect.isclass(thing) else []
    )
    for member in [thing, *members]:
        inner = (getattr(member, kind, None) for kind in ("fget", "func", "__func__"))  # of properties, cached ones and class methods
        function = next(filter(None, inner), member)
        if inspect.isfunction(function):
            assert "return" in typing.get_type_hints(function, localns={"pa": pa})


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_caught_by_name_or_by_builtin(name):
    """Every error is a NearDupError, the warning apart, and also the builtin exception that a user would catch."""
    error = getattr(neardup, name)
    assert issubclass(error, neardup.NearDupError) == (not name.endswith("Warning"))
    assert issubclass(error, BUILTIN.get(name, Exception))


def test_the_tree_of_errors_is_whole():
    """The module's docstring shows each of them once, with its builtin."""
    shown = re.findall(r"(\w+)\((\w+)\)", inspect.getdoc(neardup.errors) or "")
    assert sorted(shown) == sorted((name, builtin.__name__) for name, builtin in BUILTIN.items())


def test_no_other_name_is_found():
    """An unknown name is an AttributeError that says it."""
    with pytest.raises(AttributeError, match="'neardup' has no attribute 'dedupe'"):
        _ = neardup.dedupe


def test_the_version_is_one():
    """The module, its distribution, pyproject.toml and the first entry of CHANGELOG.md say the same version."""
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert project is not None
    assert neardup.__version__ == project[1] == importlib.metadata.version("neardup")
    entry = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert entry is not None
    assert entry[1] == project[1].split(".dev")[0]
