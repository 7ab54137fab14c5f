"""What the library says of its parameters, in the words of the command line."""

from __future__ import annotations

import re
from functools import partial

from neardup.errors import ParameterError

#: Parameters that are options: what is `num_perm` in Python is `--num-perm` here.
OPTIONS = (
    *("against", "append", "clusters", "drop_frequent", "exact", "glob", "group", "id", "keep", "max_pairs", "measure", "memory_limit"),
    *("name", "num_perm", "on_error", "order", "profile", "recall", "sample", "seed", "size", "stop", "text", "threads", "threshold"),
    *("tokens", "top", "verify"),
)
#: What only Python can do or say, and what the command line has instead.
INSTEAD = {
    "update() replaces, remove() first": "--skip-known leaves out what is there, `neardup index remove` removes it",
    "`in` tells, ids() lists": "ids are as `neardup index query` shows them",
    "verify is 'contained', which": "--profile is 'excerpt', which",
    "verify is 'contained' and": "--profile is 'excerpt' and",
}
NAME = rf"(?<![\w-])({'|'.join(OPTIONS)})"
CLAUSE = rf"(?:^|(?<=; )|(?<=, )|(?<=and )){NAME}"
#: What is said of a parameter, and what takes its place, rule after rule.
RULES = (
    (rf"{NAME}=True\b", "{}"),
    (rf"{CLAUSE} is True\b", "{} is given"),
    (rf"{CLAUSE} is None\b", "{} is not given"),
    (rf"{CLAUSE} is ", "{} is "),
    (rf"{NAME}=(?=[ ;,])", "{}"),
    (rf"{NAME}='(\w+)'", "{} {}"),
    (rf"{NAME}=", "{} "),
    (rf"(?<![\w'-])({'|'.join(name for name in OPTIONS if '_' in name)})(?!\w)", "{}"),
)


def worded(error: object) -> str:
    """A message as the command line says it: with its options.

    Examples
    --------
    >>> from neardup.errors import ParameterError
    >>> worded(ParameterError("append is True and num_perm is 0; raise num_perm"))
    '--append is given and --num-perm is 0; raise --num-perm'
    """
    text = re.sub(r"\b\w+=\S* \((--[^)]+)\)", r"\1", str(error))  # where the library has named both
    for words, instead in INSTEAD.items():
        text = text.replace(words, instead)
    if isinstance(error, ParameterError | Warning):
        for pattern, form in RULES:
            text = re.sub(pattern, partial(_option, form), text)
    return text


def _option(form: str, found: re.Match[str]) -> str:
    name, *value = found.groups()
    return form.format("--" + name.replace("_", "-"), *value)
