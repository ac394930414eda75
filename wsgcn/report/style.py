"""The look of the page: one style sheet without external resources, light and dark."""

CSS = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5d6675; --line: #dfe3ea; --page: #f7f8fa; --card: #fff;
  --accent: #1f6feb; --best: #e6f4ea; --first: clamp(6.5rem, 24vw, 15rem); }
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
section { scroll-margin-top: 1rem; }
details { margin: .5rem 0; border-top: 1px solid var(--line); padding: .45rem 0; }
summary { cursor: pointer; font-weight: 600; overflow-wrap: anywhere; }
details > summary + * { margin-top: .6rem; }
.scroll { --least: calc(var(--first) + var(--columns) * (var(--cell) + 1.5rem)); overflow-x: auto;
  width: min(100%, max(var(--least), calc(var(--first) + var(--columns) * 9rem)) + 2px);
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; table-layout: fixed; width: max(100%, var(--least)); font-size: .94rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
td { white-space: nowrap; }
th { overflow-wrap: anywhere; }
th:first-child { width: var(--first); text-align: left; position: sticky; left: 0; background: var(--card); }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 500; }
tbody tr:last-child > * { border-bottom: 0; }
td.best { background: var(--best); }
.confusion { --cell: 1.4rem; width: min(100%, var(--least) + 2px); }
.confusion th, .confusion td { padding: .3rem .45rem; }
.confusion thead span { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 0 2rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 0 1.5rem; }
.pair > *, .charts > * { min-width: 0; }
figure { margin: .8rem 0 0; }
figcaption { font-size: .9rem; font-weight: 600; color: var(--soft); margin-bottom: .2rem; overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .85rem; margin: .2rem 0 .5rem; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; border: 1px solid var(--line); }
.bars .row { display: flex; font-size: .85rem; gap: .6rem; }
.bars .row > span { flex: 0 0 6.5rem; align-self: center; text-align: right; line-height: 1.3;
  overflow-wrap: anywhere; }
.bars .row > div { flex: 1; padding: .2rem 0; border-left: 1px solid var(--soft);
  background: repeating-linear-gradient(to right, transparent 0 calc(25% - 1px), var(--line) calc(25% - 1px) 25%); }
.bars .row i { display: block; height: 6px; margin-bottom: 1px; }
.bars .axis > div { display: flex; justify-content: space-between; background: none; color: var(--soft);
  padding: 0; border: 0; }
.chart { max-width: 30rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--soft); }
polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.grid { stroke: var(--line); }
.mean { stroke: var(--ink); stroke-dasharray: 4 3; }
@media (max-width: 40rem) {
  main { padding: 1.2rem 1rem 3rem; }
  .scroll { --least: calc(var(--first) + var(--columns) * (min(var(--cell), 8ch) + .9rem)); }
  th, td { padding: .4rem .4rem; }
  td { white-space: normal; }
}
h4 { font-size: .9rem; margin: .9rem 0 .3rem; overflow-wrap: anywhere; }
small { color: var(--soft); font-weight: 400; margin-left: .5rem; font-size: inherit; }
.tiles { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 15rem); gap: .5rem; }
.tiles figure { margin: 0; }
.tiles figcaption { margin: .15rem 0 0; font-weight: 400; font-size: .85rem; }
img { display: block; width: 100%; height: auto; border-radius: 4px; }
.zoom { display: block; position: relative; cursor: zoom-in; }
.zoom input { position: absolute; opacity: 0; pointer-events: none; }
.zoom input:focus-visible + span img { outline: 3px solid var(--accent); }
.zoom input:checked + span { position: fixed; inset: 0; z-index: 1; overflow: auto; display: flex;
  background: rgb(0 0 0 / .88); cursor: zoom-out; }
.zoom input:checked + span img { margin: auto; flex: none; max-width: none;
  width: max(min(94vw, 2 * var(--width)), min(60rem, .8 * var(--width))); }
.c0 { background: #2f7fd1; fill: #2f7fd1; } .l0 { stroke: #2f7fd1; }
.c1 { background: #e69f00; fill: #e69f00; } .l1 { stroke: #e69f00; }
.c2 { background: #0a9e73; fill: #0a9e73; } .l2 { stroke: #0a9e73; }
.c3 { background: #cc6fa7; fill: #cc6fa7; } .l3 { stroke: #cc6fa7; }
.c4 { background: #17a2b8; fill: #17a2b8; } .l4 { stroke: #17a2b8; }
.c5 { background: #d55e00; fill: #d55e00; } .l5 { stroke: #d55e00; }
.c6 { background: #8c6bb1; fill: #8c6bb1; } .l6 { stroke: #8c6bb1; }
.c7 { background: #8a8f99; fill: #8a8f99; } .l7 { stroke: #8a8f99; }
"""
