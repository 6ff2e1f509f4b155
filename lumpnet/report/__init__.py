"""What is claimed, shown: one inert HTML file for people, with pictures made of our own SVG.

`markup` is where text becomes markup, `page` the page, `charts`, `marks` and `pictures` draw plain data; `reduction` and `audits` say what to draw.
"""

from lumpnet.report.charts import Point
from lumpnet.report.page import Page

__all__ = ["Page", "Point"]
