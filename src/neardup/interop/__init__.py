"""Other libraries: each module names one, and imports it when it is used.

:mod:`neardup.interop.datasketch` takes over signatures and indexes, :mod:`neardup.interop.frames` decides on data frames where
they are, :mod:`neardup.interop.huggingface` on datasets.
"""
