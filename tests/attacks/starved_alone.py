"""A process that does what `starved` does, where system calls are made to fail; acknowledgements on stdout, errors on stderr."""

import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import starved

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    starved.work(sys.argv[1], Path(sys.argv[2]), {}, Connection(os.dup(1), readable=False), Connection(os.dup(2), readable=False))
