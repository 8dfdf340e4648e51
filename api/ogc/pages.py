"""The documents of ``/ogc`` as pages for people: plain, in both languages, nothing from outside, no script."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jinja2 import Environment
from starlette.responses import Response

_PAGE = """<!doctype html>
<html lang="{{ language }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }} · Wangge</title>
<style>
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.5 system-ui, "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; margin: 0 auto; max-width: 72rem;
  padding: 1rem; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: baseline; justify-content: space-between;
  border-bottom: 2px solid #2f6db5; }
h1 { font-size: 1.4rem; margin: .3rem 0; }
nav a { margin-right: .8rem; }
a { color: LinkText; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  white-space: nowrap; }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 14rem; }
.quiet { opacity: .75; }
</style>
</head>
<body>
<header>
<nav aria-label="{{ '位置' if zh else 'Where you are' }}">
{% for name, href in above %}<a href="{{ href }}">{{ name }}</a>{% endfor %}</nav>
<nav>{% for name, href in elsewhere %}<a href="{{ href }}">{{ name }}</a>{% endfor %}</nav>
</header>
<main>
<h1>{{ title }}</h1>
{% if lead %}<p>{{ lead }}</p>{% endif %}
<div class="wide"><table>
{% if heads %}<thead><tr>{% for head in heads %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>{% endif %}
<tbody>
{% for row in rows %}<tr>{% for cell in row %}
{% if cell is mapping %}<td><a href="{{ cell.href }}">{{ cell.text }}</a></td>
{% else %}<td{% if cell|string|length > 40 %} class="long"{% endif %}>{{ cell }}</td>{% endif %}{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% if more %}<p><a href="{{ more }}" rel="next">{{ '下一页' if zh else 'Next page' }}</a></p>{% endif %}
<p class="quiet">{{ foot }}</p>
</main>
</body>
</html>
"""


@cache
def _template() -> Any:
    return Environment(autoescape=True).from_string(_PAGE)


def page(
    *,
    title: str,
    language: str,
    rows: list[list[Any]],
    above: list[tuple[str, str]],
    here: str,
    heads: list[str] | None = None,
    lead: str = "",
    more: str | None = None,
) -> Response:
    """A page with a table; a cell that is a mapping of ``text`` and ``href`` is a link.

    Parameters
    ----------
    above : list of (name, address)
        The way to this page.
    here : str
        Address of the same as JSON; the other language is asked for with it.
    """
    zh = language == "zh"
    joint = "&" if "?" in here else "?"
    elsewhere = [
        ("JSON", f"{here}{joint}f=json"),
        ("English" if zh else "中文", f"{here}{joint}f=html&lang={'en' if zh else 'zh'}"),
    ]
    text = _template().render(
        title=title, language=language, zh=zh, rows=rows, above=above, elsewhere=elsewhere, heads=heads, lead=lead,
        more=more,
        foot="坐标：WGS 84（经度、纬度）。只显示您的账号辖区内的数据。"
        if zh
        else "Coordinates: WGS 84, longitude and latitude. Only what lies in your account's areas is shown.",
    )  # fmt: skip
    return Response(text, headers={"Cache-Control": "no-store"}, media_type="text/html; charset=utf-8")


def shown(value: Any) -> str:
    """A value for a cell of a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "✓" if value else "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
