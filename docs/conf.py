"""How Sphinx builds these pages; nothing is fetched from a network."""

import contextlib
import io
import os

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

import neardup

project = "neardup"
author = "the neardup authors"
copyright = f"2026, {author}"
version = release = neardup.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "proofs"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_use_rtype = False

# What other projects document is not looked up, that would need their pages; what neardup documents is.
# The census is the type of an argument of a formula that is shown, and no more than that.
nitpick_ignore_regex = [("py:.*", r"(?!neardup\.).*"), ("py:class", r"neardup\.census\..*")]
nitpick_ignore = [("py:class", "neardup.streaming.Document")]  # a type variable

html_theme = "furo"
html_title = f"neardup {version}"


class CommandHelp(Directive):
    """What a command says of itself: ``{command-help} index add``."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Ask the command."""
        os.environ |= {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"}
        from neardup.cli import app

        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            app([*self.arguments[0].split(), "--help"], prog_name="neardup")
        text = "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())
        if "Usage: neardup" not in text:
            raise self.error(f"there is no command {self.arguments[0]!r}")
        return [nodes.literal_block(text, text, language="none")]


def setup(app: Sphinx) -> None:
    """Teach Sphinx the directive."""
    app.add_directive("command-help", CommandHelp)
