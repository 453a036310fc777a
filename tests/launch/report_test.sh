#!/usr/bin/env bash
# hyperx report: its page opens in a headless browser without an error, axe-core finds no barrier in it, its links lead to files, and
# LaTeX accepts its tables.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

hyperx=${HYPERX_BUILD:-$repository/build/release}/bin/hyperx
[ -x "$hyperx" ] || skip "$hyperx is not built"

# A run of version 0.1.0, twice, with another setting and a folder name that HTML, addresses and LaTeX must not take literally.
old=$repository/tests/trainer/old_versions/v0.1.0
for name in first "odd <b> & 100%_#"; do
  mkdir -p "$scratch/runs/$name"
  cp -r "$old/run/." "$old/expected/results" "$scratch/runs/$name/"
done
sed -i 's/^train.learning_rate = .*/train.learning_rate = 0.5/' "$scratch/runs/odd"*/config.conf
cd "$scratch"
expect 0 "pos, test: accuracy [%]" "$hyperx" report runs
expect 0 "written: out/scores.html" "$hyperx" report runs --output out
for file in scores.txt scores.md scores.tex scores.csv figures/heat-map-pos.svg figures/map-pos-0.svg figures/loss-pos.svg; do
  holds "$file is written" test -s "out/$file"
done
holds "every figure is well-formed XML" python3 -c 'import sys, xml.dom.minidom; [xml.dom.minidom.parse(f) for f in sys.argv[1:]]' out/figures/*.svg
holds "every link of the page leads to a file" python3 - <<'PYTHON'
import html, pathlib, re, sys, urllib.parse
page = pathlib.Path("out/scores.html").read_text(encoding="utf-8")
links = [urllib.parse.unquote(html.unescape(link)) for link in re.findall(r'<a href="([^"]*)"', page)]
missing = [link for link in links if not (pathlib.Path("out") / link).is_file()]
print(len(links), "links,", missing)
sys.exit(bool(missing) or len(links) < 20)
PYTHON
expect 0 "difference" "$hyperx" compare runs/first runs/odd*
expect 64 "takes text, markdown, latex, csv or html, not 'pdf'" "$hyperx" report runs --format pdf
expect 66 "no such run folder" "$hyperx" report nowhere
[ "$failures" = 0 ] || exit 1

command -v pdflatex >/dev/null || skip "no pdflatex: launch/setup --dev installs it"
printf '%s\n' '\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs}' '\begin{document}\input{out/scores.tex}\end{document}' >paper.tex
expect 0 "Output written on paper.pdf" pdflatex -interaction=nonstopmode -halt-on-error paper.tex

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$browser" ] || skip "no Chromium: launch/setup --dev installs it"
axe=$([ -x "${HYPERX_TEST_PYTHON:-}" ] && "$HYPERX_TEST_PYTHON" -c \
  'import importlib.util as u, pathlib; print(pathlib.Path(u.find_spec("axe_playwright_python").origin).parent / "axe.min.js")' 2>/dev/null || true)
[ -f "$axe" ] || skip "HYPERX_TEST_PYTHON has no axe-core: launch/setup --dev installs it (package axe-playwright-python)"

# The page's copy runs axe-core and leaves its findings in the title.
python3 - "$axe" <<'PYTHON'
import pathlib, sys
page = pathlib.Path("out/scores.html").read_text(encoding="utf-8")
script = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8").replace("</script", "<\\/script")
report = """axe.run().then(found => { document.title = 'axe: ' + found.passes.length + ' rules hold, broken: ' +
  JSON.stringify(found.violations.map(v => [v.id, v.nodes.map(n => n.html)])) + ' end'; });"""
pathlib.Path("out/axe.html").write_text(page.replace("</body>", f"<script>{script}</script><script>{report}</script></body>"), encoding="utf-8")
PYTHON
"$browser" --headless=new --no-sandbox --disable-gpu --user-data-dir="$scratch/profile" --virtual-time-budget=30000 \
  --enable-logging=stderr --dump-dom "file://$PWD/out/axe.html" >dom 2>log || true
grep -o '<title>axe: .* end</title>' dom | head -c 2000 || true
holds "axe-core finds nothing" grep -qE '<title>axe: [1-9][0-9]+ rules hold, broken: \[\] end</title>' dom
holds "the browser's console has no message" sh -c '! grep CONSOLE log'
finish
