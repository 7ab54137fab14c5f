# What there is to do. `just` alone lists it; CI runs `just test` and nothing else.

set shell := ["bash", "-euo", "pipefail", "-c"]

# The Python of .venv, or the one beside the `just` that was called.
venv := justfile_directory() / ".venv/bin"
python := if path_exists(venv / "python") == "true" { venv / "python" } else { parent_directory(just_executable()) / "python" }
venv_bin := parent_directory(python)
crate := "--locked --manifest-path src/kernels/Cargo.toml"

export PYO3_PYTHON := python

[private]
default:
    @{{ just_executable() }} --list --unsorted

# install everything into the environment, and build the extension in place
setup:
    {{ python }} -m pip install -e '.[test]'

# check the style of Python and Rust
lint:
    {{ python }} -m ruff check .
    {{ python }} -m ruff format --check .
    cargo fmt --check --manifest-path src/kernels/Cargo.toml
    cargo clippy {{ crate }} --all-targets -- -D warnings
    cargo clippy {{ crate }} --all-targets --features python -- -D warnings

# check the types: those of the source, and those that users see
types:
    {{ python }} -m mypy
    {{ python }} -m mypy --warn-unused-ignores tests/typing
    {{ venv_bin }}/basedpyright --pythonpath {{ python }}
    {{ python }} -m mypy.stubtest --allowlist tests/typing/only_in_stub.txt neardup._kernels

# test the kernels without Python
test-rust *args:
    cargo test {{ crate }} {{ args }}

# test the kernels without Python under AddressSanitizer, but what limits its memory, of which that takes terabytes of addresses
test-rust-sanitized *args:
    #!/usr/bin/env bash
    set -euo pipefail
    host=$(rustc -vV | sed -n 's/^host: //p')
    if ! compgen -G "$(rustc --print sysroot)/lib/rustlib/$host/lib/*asan*" > /dev/null; then
        echo "this Rust brings no AddressSanitizer; that of rustup does"
        [ -z "${CI:-}" ] && exit || exit 1
    fi
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test {{ crate }} --target $host --lib --test batch --test kernels --test room {{ args }}

# test everything that Python can reach, examples included
test-python *args:
    {{ python }} -m pytest -ra -n auto --dist worksteal -p no:benchmark {{ args }}

# run only the examples: docstrings, README and docs
doctest:
    {{ python }} -m pytest src/neardup tests/test_documentation.py

# build the documentation into docs/_build
docs:
    {{ python }} -m sphinx -n -W --keep-going -q docs docs/_build

# all of it: what CI runs
test: lint types docs test-rust test-rust-sanitized instructions test-python

# start a PostgreSQL and a Redis to try, on free ports, with their data in a temporary folder, until Ctrl-C
servers *args:
    {{ python }} tests/servers.py {{ args }}

# time every stage, and whole jobs beside other libraries, like `just bench --resume`, `just bench stages` or `just bench profiles`
bench *args:
    {{ python }} benchmarks/run.py {{ args }}

# write docs/benchmarks.md and its plots from the results
bench-page *args:
    {{ python }} benchmarks/page.py {{ args }}

# measure what the profiles find on labelled texts, and write docs/quality.md, like `just quality titles` or `just quality --page`
quality *args:
    {{ python }} benchmarks/quality.py {{ args }}

# count the kernels' instructions (needs valgrind) against the committed counts
instructions *args:
    {{ python }} benchmarks/instructions.py {{ args }}

# fuzz kernels (text, paths, arrays) or formats (jsonl, parquet, segments ...), like `just fuzz text -runs=1000000`
fuzz *args:
    {{ python }} tests/attacks/{{ if args =~ "^(text|paths|arrays)( |$)" { "fuzz_kernels.py" } else { "fuzz_formats.py" } }} {{ args }}

# check what the crate depends on: licences, sources, duplicates (needs cargo-deny: cargo install cargo-deny)
audit:
    cargo deny --manifest-path src/kernels/Cargo.toml --locked check licenses bans sources

# run the kernels' tests, and then those of Python on the extension, under AddressSanitizer (needs libasan of gcc); the tests may be named
sanitize *args: test-rust-sanitized
    #!/usr/bin/env bash
    set -euo pipefail
    export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address
    export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=line-tables-only
    host=$(rustc -vV | sed -n 's/^host: //p')
    cargo build {{ crate }} --target $host --features python
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    mkdir "$copy/neardup"
    git archive HEAD | tar x -C "$copy/neardup"
    if [ -d ../shared ]; then ln -s "$(realpath ../shared)" "$copy/shared"; fi
    cp src/kernels/target/$host/debug/libneardup_kernels.so "$copy/neardup/src/neardup/_kernels.abi3.so"
    cd "$copy/neardup"
    export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so.6)" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONPATH="$PWD/src"
    # Not what has a sanitizer of its own (fuzzing), what limits or measures memory, which this one fills, what is traced, in Java or a browser,
    # what asks cargo, or is done as another user, for whom there is no such folder.
    not=(tests/attacks/test_fuzz.py tests/attacks/test_starvation.py tests/attacks/test_supply_chain.py tests/test_spark.py tests/test_benchmarks.py tests/test_report.py)
    nor="not memory_does_not and not memory_of and not within_its_memory and not than_memory and not ctrl_c and not interruption and not other_ends and not quick and not lies_about_its_length and not others_may_write"
    {{ python }} -m pytest -q -n auto --dist worksteal -p no:benchmark {{ if args == "" { 'tests "${not[@]/#/--ignore=}" -k "$nor"' } else { args } }}

# the long acceptance; its dated result goes to docs/proofs, one run of a day after another
[positional-arguments]
prove *args:
    #!/usr/bin/env bash
    set -euo pipefail
    mkdir -p docs/proofs
    out=docs/proofs/$(date -u +%F).txt
    {
        echo "neardup $(git describe --always --dirty), $(date -u +%F), $({{ python }} -V), $(rustc -V | cut -d' ' -f1-2)"
        grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs || uname -m
    } | tee -a "$out"
    {{ python }} -m pytest -m prove --hypothesis-profile=prove --no-header --color=no --tb=short -v --durations=0 "$@" | tee -a "$out"

# the long attacks: texts and files that mean harm, want of everything, kills, storms; the dated result goes to docs/attacks
[positional-arguments]
attack *args:
    #!/usr/bin/env bash
    set -euo pipefail
    mkdir -p docs/attacks
    out=docs/attacks/$(date -u +%F).txt
    {
        echo "neardup $(git describe --always --dirty), $(date -u +%F), $({{ python }} -V), $(rustc -V | cut -d' ' -f1-2)"
        grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs || uname -m
    } | tee -a "$out"
    {{ python }} -m pytest -m attack --no-header --color=no --tb=short -v --durations=0 "$@" | tee -a "$out"

# build the wheel into dist
build:
    {{ python }} -m pip wheel --no-deps --wheel-dir dist .

# build the wheel and the source distribution as they are published, and check them; `just release --suite` runs all tests on the wheel
release *args:
    {{ python }} -m pip install -q 'maturin>=1.9,<2' ziglang auditwheel abi3audit
    rm -rf dist
    PATH="{{ venv_bin }}:$PATH" {{ python }} -m maturin build --release --locked --zig --compatibility manylinux_2_17 --out dist
    {{ python }} -m maturin sdist --out dist
    {{ python }} tests/check_distributions.py dist {{ args }}

# what CHANGELOG.md will say of the changes since the last version
changes:
    {{ python }} -m towncrier build --draft --version next
