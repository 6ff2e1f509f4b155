"""The style sheet. Colours are Okabe and Ito's (Color Universal Design, 2008), which the colour-blind tell apart; shapes say the same without colour."""

from __future__ import annotations

from lumpnet.report.markup import verbatim

_LIGHT = (
    "--ink:#1b1f24;--paper:#fff;--soft:#f3f5f7;--line:#cfd5dc;--muted:#56606c;--accent:#0072b2;"
    "--kept:#0072b2;--merged:#b97a00;--constant:#009e73;--unread:#b8578c;--removed:#d55e00;--unsure:#7b8490;"
    "--holds:#00694b;--refuted:#b03f00;--unknown:#6a5600;--on:#fff"
)
_DARK = (
    "--ink:#e7eaee;--paper:#14171b;--soft:#1e2329;--line:#3b444f;--muted:#a7b1bd;--accent:#56b4e9;"
    "--kept:#56b4e9;--merged:#e69f00;--constant:#1ec79a;--unread:#e08dbb;--removed:#ff7f32;--unsure:#98a2ae;"
    "--holds:#3ddbb0;--refuted:#ff9a5c;--unknown:#f0d264;--on:#14171b"
)
STYLE = verbatim(
    f"""
.lumpnet{{{_LIGHT};color:var(--ink);background:var(--paper);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color-scheme:light}}
@media screen and (prefers-color-scheme:dark){{.lumpnet{{{_DARK};color-scheme:dark}}}}
.lumpnet.file{{margin:0;min-height:100vh}}
.lumpnet main{{box-sizing:border-box;max-width:58rem;margin:0 auto;padding:1.5rem 1.25rem 3rem;overflow-wrap:break-word;text-align:left}}
.lumpnet header{{margin:0 0 1.5rem}}
.lumpnet .kicker{{margin:0;color:var(--muted);font-size:.9rem}}
.lumpnet h1{{margin:.5rem 0 .75rem;font-size:1.6rem;line-height:1.2}}
.lumpnet h2{{margin:0 0 .5rem;font-size:1.15rem;line-height:1.3}}
.lumpnet h3{{margin:0;font-size:1rem;line-height:1.3;font-weight:600}}
.lumpnet .badge{{display:inline-flex;align-items:center;gap:.5em;padding:.2em .7em;border:2px solid;border-radius:.4em}}
.lumpnet .badge.holds{{background:var(--holds);border-color:var(--holds);color:var(--on)}}
.lumpnet .badge.refuted{{background:var(--refuted);border-color:var(--refuted);color:var(--on)}}
.lumpnet .badge.unknown{{background:var(--unknown);border-color:var(--unknown);color:var(--on)}}
.lumpnet .sign{{font-weight:700}}
.lumpnet .lead{{margin:0;font-size:1.15rem}}
.lumpnet section{{margin:0 0 1.25rem;padding:1rem 1.1rem;border:1px solid var(--line);border-radius:.5rem}}
.lumpnet p{{margin:0 0 .6rem}}
.lumpnet .note{{color:var(--muted);font-size:.92rem}}
.lumpnet dl{{display:grid;grid-template-columns:minmax(6.5rem,10rem) 1fr;gap:.4rem 1rem;margin:0}}
.lumpnet dt{{color:var(--muted)}}
.lumpnet dd{{margin:0;min-width:0}}
.lumpnet ul{{margin:.3rem 0;padding-left:1.2rem}}
.lumpnet dd>ul{{margin:0}}
.lumpnet .wide{{overflow-x:auto}}
.lumpnet table{{border-collapse:collapse;width:100%;margin:.3rem 0;background:none}}
.lumpnet th,.lumpnet td{{padding:.25rem .6rem .25rem 0;text-align:left;border:0;border-bottom:1px solid var(--line);vertical-align:top;background:none}}
.lumpnet th{{color:var(--muted);font-weight:500}}
.lumpnet .number{{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}}
.lumpnet td:last-child:has(.bar){{width:38%;min-width:5rem}}
.lumpnet code,.lumpnet .hash{{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.86em}}
.lumpnet .hash{{word-break:break-all}}
.lumpnet bdi.name{{font-weight:600;display:inline-block;max-width:100%;overflow:hidden;vertical-align:bottom}}
.lumpnet section,.lumpnet header{{overflow:clip}}
.lumpnet bdi.name,.lumpnet p,.lumpnet dd,.lumpnet li{{overflow-wrap:anywhere}}
.lumpnet details{{margin:.3rem 0}}
.lumpnet summary{{cursor:pointer;color:var(--accent)}}
.lumpnet svg{{display:block;max-width:100%;font:11px system-ui,"DejaVu Sans",sans-serif}}
.lumpnet svg text{{fill:var(--ink)}}
.lumpnet svg text.quiet{{fill:var(--muted)}}
.lumpnet svg.chart{{width:100%;max-width:32rem;height:auto}}
.lumpnet svg.strip{{width:100%;height:auto;margin:.3rem 0}}
.lumpnet svg.row{{width:100%;height:1.1em}}
.lumpnet svg.key{{display:inline-block;width:.9em;height:.9em;vertical-align:-.08em;margin-right:.4em}}
.lumpnet svg.pixels{{width:100%;max-width:14rem;height:auto;border:1px solid var(--line);shape-rendering:crispEdges}}
.lumpnet .legend{{display:flex;flex-wrap:wrap;gap:.2rem 1.3rem;margin:0 0 .8rem;padding:0;list-style:none;font-size:.92rem}}
.lumpnet .layers{{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(19rem,100%),1fr));gap:1rem 2rem}}
.lumpnet .layer{{min-width:0}}
.lumpnet .layer p{{margin:0;font-size:.92rem;color:var(--muted)}}
.lumpnet .gallery{{display:grid;grid-template-columns:repeat(auto-fill,minmax(8rem,1fr));gap:1rem}}
.lumpnet .gallery figure,.lumpnet figure{{margin:0}}
.lumpnet figcaption{{font-size:.88rem;color:var(--muted)}}
.lumpnet .sides{{display:grid;grid-template-columns:minmax(9rem,14rem) 1fr;gap:1.2rem}}
.lumpnet .sides>*{{min-width:0}}
.lumpnet .kept{{fill:var(--kept)}}.lumpnet .merged{{fill:var(--merged)}}.lumpnet .constant{{fill:var(--constant)}}
.lumpnet .unread{{fill:var(--unread)}}.lumpnet .removed{{fill:var(--removed)}}.lumpnet .unsure{{fill:var(--unsure)}}
.lumpnet .ground{{fill:var(--soft)}}.lumpnet .axis{{stroke:var(--muted);stroke-width:1;fill:none}}
.lumpnet .grid{{stroke:var(--line);stroke-width:1;fill:none}}
.lumpnet .edge{{stroke:var(--ink);stroke-width:1.5;fill:none}}.lumpnet .dashed{{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:4 3;fill:none}}
.lumpnet .reached{{fill:var(--removed)}}.lumpnet .open{{fill:var(--merged);fill-opacity:.35;stroke:var(--merged)}}
.lumpnet .free{{fill:var(--soft);stroke:var(--line)}}
.lumpnet .line{{fill:none;stroke-width:2}}.lumpnet .line.kept{{stroke:var(--kept)}}.lumpnet .line.removed{{stroke:var(--removed)}}
.lumpnet .line.constant{{stroke:var(--constant)}}
@media (max-width:40rem){{
.lumpnet main{{padding:1rem .75rem 2rem}}
.lumpnet section{{padding:.8rem .75rem}}
.lumpnet dl{{grid-template-columns:1fr;gap:.1rem}}
.lumpnet dd{{margin-bottom:.5rem}}
.lumpnet .sides{{grid-template-columns:1fr}}
.lumpnet td:last-child:has(.bar){{width:24%;min-width:4rem}}
.lumpnet .sizes td:last-child,.lumpnet .sizes th:last-child{{display:none}}
.lumpnet table{{font-size:.9rem}}
.lumpnet th,.lumpnet td{{padding-right:.35rem}}
.lumpnet td:first-child{{min-width:4.5rem}}
}}
@media print{{
.lumpnet main{{max-width:none;padding:0}}
.lumpnet .badge{{background:none!important;color:var(--ink)!important}}
.lumpnet section,.lumpnet .layer,.lumpnet figure{{break-inside:avoid}}
.lumpnet svg{{print-color-adjust:exact}}
.lumpnet details::details-content{{content-visibility:visible;display:block;height:auto}}
}}
"""
)
