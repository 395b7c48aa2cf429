"""The HTML report: what a conversion made of a folder, on one page to look through.

Where its data comes from
-------------------------
- **Instances** are read back from what ``sisegcli convert`` wrote: ``instances.json``, or VOC's two folders of PNGs
  (`sisegcli.report.outputs`, the only module that opens an output folder).
- **Images and semantic masks** come from the input folder, which outputs do not name: ``--input`` does. For an output
  folder with the default name ``NAME-instances``, a folder ``NAME`` beside it or in the working folder is taken.
- **Ground truth** (``--truth``) is read, and compared, as by ``sisegcli evaluate``.
- **Displacement, boundaries** and the time that each image takes are nowhere in the outputs. ``--layers`` runs the
  network once more for them; without it, the page has no such layers.

What the page holds
-------------------
One HTML file, without any request to a network. Of each image it has a small JPEG, and label maps on a coarser grid
(instances, semantic mask, ground truth), compressed; the browser unpacks those of the images on show alone. How large
pictures and maps are follows from how many there are, so that the page stays below some 100 MB for 10,000 images (see
`sisegcli.report.budget`). Where the page knows where the image files are, it shows these when one image fills the
window.
"""

from sisegcli.report.anywhere import report_anywhere
from sisegcli.report.options import ReportOptions
from sisegcli.report.writing import ReportSummary, write_report

__all__ = ["ReportOptions", "ReportSummary", "report_anywhere", "write_report"]
