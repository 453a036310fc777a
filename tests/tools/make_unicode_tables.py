#!/usr/bin/env python3
"""Writes src/data/tokenizer/unicode_tables.cpp: what BERT's normaliser does with every code point.

The tables are measured, not taken from a Unicode release: Hugging Face's `tokenizers` mixes several (its punctuation and marks
are older than its lower case), so each of its steps is run on every code point. Run in an environment with the PyPI
package `tokenizers`; clang-format the result.
"""
import sys
import unicodedata

import tokenizers
from tokenizers import normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xD7A4)


def step(clean=False, chinese=False, accents=False, lower=False):
    return normalizers.BertNormalizer(clean_text=clean, handle_chinese_chars=chinese, strip_accents=accents, lowercase=lower)


def classes():
    """First code point and class of every run of equal class."""
    clean, chinese, split = step(clean=True), step(chinese=True), pre_tokenizers.BertPreTokenizer()
    runs, last = [], None
    for code_point in CODE_POINTS:
        text = "a" + chr(code_point) + "b"
        cleaned = clean.normalize_str(text)
        words = len(split.pre_tokenize_str(cleaned))
        if cleaned == "ab":
            kind = "kRemoved"
        elif chinese.normalize_str(text) != text:
            kind = "kIdeograph"
        else:
            kind = {1: "kInside", 2: "kSpace", 3: "kAlone"}[words]
        if kind != last:
            runs.append((code_point, kind))
            last = kind
    return runs


def accents():
    """Marks that go, and what the others decompose into (canonically, without the marks)."""
    strip, nfd = step(accents=True), normalizers.NFD()
    gone, decomposed, kept_marks = [], [], []
    for code_point in CODE_POINTS:
        if code_point in HANGUL:
            continue  # by arithmetic
        char = chr(code_point)
        out = strip.normalize_str(char)
        # Combining class, if not 0: the character changes places with a mark of class 1 after it or of class 230 before it.
        pairs = "a" + char + "\u0334", "a\u0301" + char
        moves = nfd.normalize_str(char) == char and any(nfd.normalize_str(pair) != pair for pair in pairs)
        combining = unicodedata.combining(char) if moves else 0
        if moves and not combining:
            sys.exit(f"U+{code_point:04X}: a mark that this Python does not know yet; take a newer one")
        if out == "":
            gone.append((code_point, combining == 0 and nfd.normalize_str(char) == char))
        elif out != char:
            decomposed.append((code_point, [ord(c) for c in out]))
        elif combining:
            kept_marks.append((code_point, combining))
    return gone, decomposed, kept_marks


def lower_case():
    lower = step(lower=True)
    single, longer = [], []
    for code_point in CODE_POINTS:
        out = lower.normalize_str(chr(code_point))
        if len(out) > 1:
            longer.append((code_point, [ord(c) for c in out]))
        elif ord(out) != code_point:
            single.append((code_point, ord(out) - code_point))
    return single, longer


def in_runs(entries):
    """(code point, value) -> (first, last, stride, value) for arithmetic series of equal value."""
    runs = []
    for code_point, value in entries:
        if runs and runs[-1][3] == value:
            first, last, stride, _ = runs[-1]
            gap = code_point - last
            if gap <= 2 and (first == last or gap == stride):
                runs[-1] = (first, code_point, gap, value)
                continue
        runs.append((code_point, code_point, 1, value))
    return runs


def rows(entries):
    return ",".join("{" + ", ".join(str(v) if isinstance(v, str) else (f"{v:#x}" if v > 9 else str(v)) for v in e) + "}" for e in entries)


def pool(entries):
    return ",".join(f"{c:#x}, {len(out)}, " + ", ".join(f"{o:#x}" for o in out) for c, out in entries)


def main():
    gone, decomposed, kept_marks = accents()
    single, longer = lower_case()
    sys.stdout.write(f"""// Made by tests/tools/make_unicode_tables.py with tokenizers {tokenizers.__version__}. Not edited by hand.
#include "data/tokenizer/unicode_tables.h"

namespace hyperx::data {{
namespace {{
using enum CharacterClass;
constexpr ClassRun kClasses[] = {{{rows(classes())}}};
constexpr MarkRun kMarks[] = {{{rows((a, b, s, "true" if v else "false") for a, b, s, v in in_runs(gone))}}};
constexpr CombiningMark kKept[] = {{{rows(kept_marks)}}};
constexpr CaseRun kCases[] = {{{rows(in_runs(single))}}};
constexpr char32_t kLongCases[] = {{{pool(longer)}}};
constexpr char32_t kDecomposed[] = {{{pool(decomposed)}}};
}}  // namespace

std::span<const ClassRun> class_runs() {{ return kClasses; }}
std::span<const MarkRun> removed_marks() {{ return kMarks; }}
std::span<const CombiningMark> kept_marks() {{ return kKept; }}
std::span<const CaseRun> case_runs() {{ return kCases; }}
std::span<const char32_t> long_cases() {{ return kLongCases; }}
std::span<const char32_t> decompositions() {{ return kDecomposed; }}

}}  // namespace hyperx::data
""")


if __name__ == "__main__":
    main()
