"""Images too large for one pass: tiles that overlap, segmented one by one and put together again.

How it goes
-----------
1. `plan` cuts the image into **windows** of one size that overlap, and shares its pixels out among their **cores**: a
   window shows the method its core and a margin, which is as wide as the network's reach.
2. The ordinary method segments each window. What it finds are **parts**. Windows whose core holds no category are
   passed over.
3. `joining` compares the parts of windows that overlap, on the pixels that both saw. Two parts are one instance if they
   share more than half of their pixels there (intersection over union), or if they touch across the seam between the
   cores and share more than half of the smaller one: one tile cut what the other left whole, and the cut ends at the
   seam. A union-find makes instances of parts, so a region that runs through many tiles stays one if no tile cuts it.
   For ``--method components`` one shared pixel is enough. All parts of a category of stuff are one.
4. Each tile owns the pixels of its core. `store` keeps them on disk in a nameless file of part numbers, band by band,
   so that neither labels nor masks of the whole image are ever in memory.
5. `gathering` reads that file once more, in bands of rows, numbers parts by their instance, and turns the runs of an
   instance into a run-length code as soon as its last row has passed.

Time and disk are linear in the pixels; memory holds a band of the image, two rows of tiles, and what is known of the
instances, some 0.6 KB each.

Scores
------
A score holds an instance's share of its category's pixels, and of the image (`grouping.scores`). Tiles know neither, so
they only say how sure borders are; an instance has the mean of its parts, weighted by their pixels, and its shares are
those of the whole image, as without tiles.

What is exact
-------------
``components`` is, byte for byte. Networks with ``long_side`` 0 (`magnify` or not) see the same scale in a tile as in
the whole image, tiles begin on the grid that the network would have there, and margins hide most of what differs.
Networks that shrink an image to ``long_side`` pixels see a tile
larger than they would see its image: tiles change what they find, mostly towards smaller objects. So ``auto`` tiles for
the former where the network would see more than 8 megapixels at once, and for the latter only where an image was too
large to be read before tiles came (90 megapixels), in tiles as large as memory allows.
"""

from sisegcli.tiles.plan import Tile, margin_of, plan_tiles
from sisegcli.tiles.segmenting import segment_in_tiles

__all__ = ["Tile", "margin_of", "plan_tiles", "segment_in_tiles"]
