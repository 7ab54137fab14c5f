"""How Sphinx builds these pages; nothing is fetched from a network."""

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
nitpick_ignore_regex = [("py:.*", r"(?!neardup\.).*")]
nitpick_ignore = [("py:class", "neardup.streaming.Document")]  # a type variable

html_theme = "furo"
html_title = f"neardup {version}"
