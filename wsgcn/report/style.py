"""The look of the page: one style sheet without external resources, light and dark."""

CSS = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5d6675; --line: #dfe3ea; --page: #f7f8fa; --card: #fff;
  --accent: #1f6feb; --best: #e6f4ea; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ef; --soft: #9aa4b5; --line: #323a47; --page: #14181f; --card: #1c222c; --accent: #6ea8ff;
    --best: #1d3a2a; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Roboto,
  Helvetica, Arial, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .6rem; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .5rem; overflow-wrap: anywhere; }
p { margin: .4rem 0 .9rem; max-width: 80ch; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.says { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--accent);
  border-radius: 8px; margin: 1rem 0; padding: .8rem 1.2rem .8rem 2.2rem; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .95rem; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .94rem; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .9rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child { text-align: left; }
thead th { color: var(--soft); font-weight: 600; white-space: normal; vertical-align: bottom; }
tbody th { font-weight: 500; }
tbody tr:last-child > * { border-bottom: 0; }
td.best { background: var(--best); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 0 1.5rem; }
.pair > * { min-width: 0; }
.pair thead th { white-space: nowrap; }
.photo { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .2rem 1rem 1rem;
  margin: 1rem 0; }
figure { margin: .6rem 0 0; }
figcaption { font-size: .9rem; font-weight: 600; color: var(--soft); margin-bottom: .15rem; }
img { display: block; height: auto; border-radius: 4px; }
"""
