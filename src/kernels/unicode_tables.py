"""Writes unicode.rs, the character tables of `words-v1`, from the Unicode 15.0 data files.

The version is part of the scheme: the tables are generated once and pinned. To check them:

    apt-get install unicode-data        # Debian 12: version 15.0.0
    python src/kernels/unicode_tables.py --check
"""

import pathlib
import sys

UCD = pathlib.Path("/usr/share/unicode")
OUT = pathlib.Path(__file__).with_name("unicode.rs")
VERSION = "15.0.0"
LAST = 0x110000

WORD, UNSPACED, MARK, IGNORABLE, REORDERS, COMPOSES, MAPPED = (1 << bit for bit in range(7))

# Scripts written without spaces between words; reference.py has the same list with names.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from neardup.reference import IGNORABLE as IGNORABLE_RANGES  # noqa: E402
from neardup.reference import UNSPACED as UNSPACED_RANGES  # noqa: E402


def rows(name):
    """The fields of a data file's lines, comments dropped."""
    text = (UCD / name).read_text(encoding="utf-8")
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if line:
            yield [field.strip() for field in line.split(";")]


def points(field):
    """The code points of ``0041`` or ``0041..005A``."""
    first, _, last = field.partition("..")
    return range(int(first, 16), int(last or first, 16) + 1)


def load():
    """Categories, combining classes, single decompositions, case foldings, composition pairs."""
    category, ccc, decomposition, canonical = {}, {}, {}, {}
    first = None
    for field in rows("UnicodeData.txt"):
        c = int(field[0], 16)
        span = range(first, c + 1) if field[1].endswith("Last>") else range(c, c + 1)
        first = c
        for p in span:
            category[p] = field[2]
            if field[3] != "0":
                ccc[p] = int(field[3])
        if field[5]:
            parts = field[5].split()
            if parts[0].startswith("<"):
                decomposition[c] = [int(x, 16) for x in parts[1:]]
            else:
                decomposition[c] = canonical[c] = [int(x, 16) for x in parts]
    folding = {int(f[0], 16): [int(x, 16) for x in f[2].split()] for f in rows("CaseFolding.txt") if f[1] in "CF"}
    excluded = {p for f in rows("DerivedNormalizationProps.txt") if f[1] == "Full_Composition_Exclusion" for p in points(f[0])}
    ignorable = {p for f in rows("DerivedCoreProperties.txt") if f[1] == "Default_Ignorable_Code_Point" for p in points(f[0])}
    assert ignorable == {p for a, b in IGNORABLE_RANGES for p in range(a, b + 1)}, "IGNORABLE in reference.py is not this version's"
    pairs = {tuple(d): c for c, d in canonical.items() if len(d) == 2 and c not in excluded}
    return category, ccc, decomposition, folding, pairs


category, ccc, decomposition, folding, pairs = load()
S, L, V, T, N = 0xAC00, 0x1100, 0x1161, 0x11A7, 11172


def decompose(c):
    """Full compatibility decomposition of one code point."""
    if S <= c < S + N:
        i = c - S
        return [L + i // 588, V + i % 588 // 28] + ([T + i % 28] if i % 28 else [])
    return [x for p in decomposition[c] for x in decompose(p)] if c in decomposition else [c]


def compose(a, b):
    """The primary composite of two code points, or None."""
    if L <= a < L + 19 and V <= b < V + 21:
        return S + ((a - L) * 21 + b - V) * 28
    if S <= a < S + N and (a - S) % 28 == 0 and T < b < T + 28:
        return a + b - T
    return pairs.get((a, b))


def nfkc(text):
    chars, i = [x for c in text for x in decompose(c)], 0
    while i < len(chars):
        if ccc.get(chars[i]):
            j = i
            while j < len(chars) and ccc.get(chars[j]):
                j += 1
            chars[i:j] = sorted(chars[i:j], key=ccc.get)
            i = j
        i += 1
    out, starter, last = [], None, 0
    for c in chars:
        k = ccc.get(c, 0)
        if starter is not None and (last < k or last == 0 and starter == len(out) - 1):
            p = compose(out[starter], c)
            if p is not None:
                out[starter] = p
                continue
        if k == 0:
            starter, last = len(out), 0
        else:
            last = k
        out.append(c)
    return out


def fold(text):
    return nfkc([x for c in text for x in folding.get(c, [c])])


seconds = {b for _, b in pairs} | set(range(V, V + 21)) | set(range(T + 1, T + 28))


def boundary(text):
    """Nothing before this text can change, or be changed by, its first character in NFKC."""
    first = decompose(text[0])[0]
    return not ccc.get(first) and first not in seconds


def properties():
    """One byte of property bits and the replacement (or None for itself) of every code point."""
    props, replacement = bytearray(LAST), {}
    for ranges, bit in ((UNSPACED_RANGES, UNSPACED), (IGNORABLE_RANGES, IGNORABLE)):
        for a, b in ranges:
            for c in range(a, b + 1):
                props[c] |= bit
    for c, kind in category.items():
        if kind[0] in "LMN" or c == 0x5F:
            props[c] |= WORD
        if kind[0] == "M":
            props[c] |= MARK
    for c in set(range(LAST)) & (set(category) | set(folding)):
        folded = folding.get(c, [c])
        once, twice = fold([c]), fold(fold([c]))
        if ccc.get(c):
            props[c] |= REORDERS
        if not boundary(folded) or not boundary(folding.get(once[0], [once[0]])):
            # A mark that only reorders stays with the cheap bit; everything else that looks back goes the slow way.
            if folded != [c] or once != [c] or decompose(c)[0] in seconds:
                props[c] |= COMPOSES
        if folded != [c] or once != [c] or props[c] & IGNORABLE:
            props[c] |= MAPPED
            replacement[c] = [x for x in twice if not props[x] & IGNORABLE]
    for c in range(LAST):
        if props[c] & IGNORABLE and not props[c] & MAPPED:
            props[c] |= MAPPED
            replacement[c] = []
    # What begins a segment in the first round begins one in the second, whatever its marks composed it into.
    for c in category:
        if nfkc([c]) == [c] and boundary([c]):
            assert boundary(folding.get(c, [c])), hex(c)
    return props, replacement


def two_stage(values, block):
    """(index of each block, the distinct blocks one after another)."""
    seen, index, blocks = {}, [], []
    for start in range(0, LAST, block):
        chunk = tuple(values[start : start + block])
        if chunk not in seen:
            seen[chunk] = len(seen)
            blocks.extend(chunk)
        index.append(seen[chunk])
    return index, blocks


def array(name, kind, values, doc):
    """A Rust static, 118 columns wide."""
    lines, line = [], "   "
    for v in values:
        item = f" {v},"
        if len(line) + len(item) > 118:
            lines.append(line)
            line = "   "
        line += item
    lines.append(line)
    return f"/// {doc}\npub static {name}: [{kind}; {len(values)}] = [\n" + "\n".join(lines) + "\n];\n"


def sequences(table):
    """Sorted keys, the end of each value, all values one after another."""
    keys = sorted(table)
    ends, flat = [], []
    for c in keys:
        flat.extend(table[c])
        ends.append(len(flat))
    return keys, ends, flat


SIMPLE_DOC = (
    "For code points 0x80 to 0x7FF that act on no neighbour and stay two bytes: those bytes, little-endian, the property bits\n"
    "/// of what they become from bit 16 on, and bit 24 set; 0 for the others."
)


def simple(props, replacement):
    """The table SIMPLE."""
    table = []
    for c in range(0x80, 0x800):
        becomes = replacement.get(c, [c])
        fits = len(becomes) == 1 and 0x80 <= becomes[0] < 0x800 and not (props[c] | props[becomes[0]]) & (REORDERS | COMPOSES | MARK)
        table.append(int.from_bytes(chr(becomes[0]).encode(), "little") | props[becomes[0]] << 16 | 1 << 24 if fits else 0)
    return table


def render():
    props, replacement = properties()
    out = [
        f"//! Character tables of `words-v1`, Unicode {VERSION}. Written by unicode_tables.py; do not edit.\n",
        f'pub const VERSION: &str = "{VERSION}";',
        "".join(
            f"pub const {name}: u8 = {bit};\n"
            for name, bit in zip(
                ("WORD", "UNSPACED", "MARK", "IGNORABLE", "REORDERS", "COMPOSES", "MAPPED"),
                (WORD, UNSPACED, MARK, IGNORABLE, REORDERS, COMPOSES, MAPPED),
            )
        ),
    ]
    index, blocks = two_stage(props, 128)
    out += [
        array("PROPERTY_INDEX", "u8", index, "Block of 128 code points -> its place in PROPERTIES."),
        array("PROPERTIES", "u8", blocks, "Property bits."),
    ]
    flat, starts = [], {}
    places = [0] * LAST
    for c, text in sorted(replacement.items()):
        key = tuple(text)
        if key not in starts:
            starts[key] = len(flat)
            flat.append(len(text))
            flat.extend(text)
        places[c] = starts[key]
    index, blocks = two_stage(places, 64)
    out += [
        array("REPLACEMENT_INDEX", "u16", index, "Block of 64 code points -> its place in REPLACEMENT_PLACES."),
        array("REPLACEMENT_PLACES", "u16", blocks, "Where in REPLACEMENTS a mapped code point's text begins."),
        array("REPLACEMENTS", "u32", flat, "Length, then the folded and composed code points, twice over, without the ignorable ones."),
    ]
    for name, table, doc in (
        ("FOLDING", folding, "Full case folding"),
        ("DECOMPOSITION", {c: decompose(c) for c in decomposition}, "Full compatibility decomposition, Hangul apart"),
    ):
        keys, ends, values = sequences(table)
        out += [
            array(f"{name}_KEYS", "u32", keys, f"{doc}: the code points that have one."),
            array(f"{name}_ENDS", "u16", ends, f"{doc}: where each one's text ends in {name}_TEXT."),
            array(f"{name}_TEXT", "u32", values, f"{doc}: the texts."),
        ]
    out.append(array("SIMPLE", "u32", simple(props, replacement), SIMPLE_DOC))
    index, blocks = two_stage([ccc.get(c, 0) for c in range(LAST)], 128)
    out += [
        array("CLASS_INDEX", "u8", index, "Block of 128 code points -> its place in CLASSES."),
        array("CLASSES", "u8", blocks, "Canonical combining class."),
    ]
    order = sorted(pairs)
    out += [
        array("PAIRS", "u64", [a << 32 | b for a, b in order], "Composition pairs, sorted, Hangul apart."),
        array("COMPOSITES", "u32", [pairs[p] for p in order], "What each pair composes to."),
    ]
    return "\n".join(out)


if __name__ == "__main__":
    text = render()
    if "--check" in sys.argv:
        sys.exit(0 if text == OUT.read_text() else f"{OUT.name} is not what the Unicode {VERSION} files give; run this without --check")
    OUT.write_text(text)
