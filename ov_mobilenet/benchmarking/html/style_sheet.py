"""The page's style: colours of the light and the dark scheme, and the sheet made of them."""

from __future__ import annotations

# Text on paper and on panel has a contrast of at least 4.5, lines and marks of at least 3 (WCAG AA). The series are
# Okabe and Ito's colours, told apart by the colour-blind too, darkened for light paper and lightened for dark.
LIGHT = {
    "paper": "#ffffff", "panel": "#f4f5f7", "ink": "#1b1f24", "muted": "#57606a", "grid": "#d5d9de",
    "bad": "#b42318", "warn-paper": "#fff4d6", "link": "#0b5cad",
    "series-1": "#0067a5", "series-2": "#b35900", "series-3": "#00785a", "series-4": "#a8437e", "series-5": "#3a7fae",
    "series-6": "#7a6a00",
}  # fmt: skip
DARK = {
    "paper": "#15181c", "panel": "#1f2429", "ink": "#e8eaed", "muted": "#a6adb6", "grid": "#3a4149",
    "bad": "#ff8a7a", "warn-paper": "#3d3110", "link": "#7cc0ff",
    "series-1": "#56b4e9", "series-2": "#e69f00", "series-3": "#2fc49a", "series-4": "#e08fbf", "series-5": "#8fb8ff",
    "series-6": "#f0e442",
}  # fmt: skip


def style_sheet() -> str:
    """All of the page's CSS."""
    return f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
{_RULES}
@media print {{
  @page {{ size: landscape; margin: 12mm; }}
  :root {{ color-scheme: light; {_variables(LIGHT)} }}
  body {{ max-width: none; padding: 0; font-size: 10pt; }}
  .scroll {{ overflow: visible; }}
  table {{ font-size: 6.5pt; }}
  th, td {{ padding: .15rem .3rem; }}
  td:not([class]), tbody th:not([class]) {{ min-width: 0; }}
  .short {{ white-space: normal; }}
  .bar {{ width: 3rem; height: .4rem; margin-top: .15rem; print-color-adjust: exact; }}
  .bar span {{ print-color-adjust: exact; }}
  figure, .card, tr {{ break-inside: avoid; }}
  h2, h3 {{ break-after: avoid; }}
  details::details-content {{ content-visibility: visible; height: auto; }}
}}
"""


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours.items())


_RULES = """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.75rem 0 .5rem; padding-top: .75rem;
  border-top: 1px solid var(--grid); }
h3 { font-size: 1rem; line-height: 1.35; margin: 0 0 .5rem; }
p { margin: .4rem 0; max-width: 46rem; }
code { font: .9em ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.muted, figcaption { color: var(--muted); font-size: .875rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.tile { background: var(--panel); border-radius: .5rem; padding: .7rem .9rem; font-size: .875rem; }
.tile strong { display: block; font-size: 1.45rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { color: var(--muted); display: block; }
.bad { color: var(--bad); font-weight: 600; }
.tile.bad span { font-weight: 400; }
.note { background: var(--warn-paper); border-left: .3rem solid var(--series-2); padding: .6rem .9rem; margin: 1rem 0;
  border-radius: .25rem; }
.note p { margin: 0; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: .35rem 1.25rem;
  margin: .75rem 0; }
dl.facts div { min-width: 0; }
dt { color: var(--muted); font-size: .8125rem; }
dd { margin: 0; }
.scroll { overflow-x: auto; margin: .75rem 0; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .3rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--grid); }
th:first-child, td:first-child { padding-left: 0; }
thead th { color: var(--muted); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 600; }
th.number, td.number { text-align: right; white-space: nowrap; }
td:not([class]), tbody th:not([class]) { min-width: 13rem; max-width: 28rem; overflow-wrap: anywhere; }
.short { white-space: nowrap; }
.bar { display: block; width: 7rem; height: .75rem; margin-top: .3rem; background: var(--panel); border-radius: 2px; }
.bar span { display: block; height: 100%; min-width: 1px; background: var(--series-1); border-radius: 2px; }
figure { margin: .75rem 0; min-width: 0; }
svg.plot { display: block; width: 100%; height: auto; max-width: calc(var(--width) * 1.4px); overflow: visible; }
svg.plot * { stroke-linejoin: round; stroke-linecap: butt; }
svg.plot text { font-family: inherit !important; font-variant-numeric: tabular-nums; }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: .5rem 2rem;
  align-items: start; }
.beside > * { min-width: 0; }
.card { border: 1px solid var(--grid); border-radius: .5rem; padding: .8rem 1rem .4rem; margin: 1rem 0; }
ul.legend { list-style: none; padding: 0; margin: .5rem 0; font-size: .875rem; }
ul.legend li { padding-left: 1.5rem; text-indent: -1.5rem; margin: .25rem 0; }
ul.legend .mark { display: inline-block; width: 1.5rem; text-indent: 0; }
ul.row { display: flex; flex-wrap: wrap; gap: 0 1.25rem; }
summary { cursor: pointer; font-weight: 600; padding: .3rem 0; }
"""
