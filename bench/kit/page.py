#!/usr/bin/env python3
"""Puts the kit's results into the section "On a GPU".

usage: page.py DOCUMENT RESULTS.md
"""
import pathlib
import re
import sys

document, results = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")
if "| device | no GPU was measured" in results or "| device |" not in results:
    sys.exit(f"page: {sys.argv[2]} holds no figures of a GPU")
text, count = re.subn(r"(?s)(<!-- gpu kit: begin -->\n).*(<!-- gpu kit: end -->)", lambda found: found[1] + results + found[2],
                      document.read_text(encoding="utf-8"))
if count != 1:
    sys.exit(f"page: {document} has no place for the results between the lines of `gpu kit: begin` and `gpu kit: end`")
document.write_text(text, encoding="utf-8")
