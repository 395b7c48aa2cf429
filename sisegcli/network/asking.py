"""Running the membership network on the windows of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sisegcli.network.fusing import infers_in_bfloat16
from sisegcli.network.membership import Membership
from sisegcli.stages import stage
from sisegcli.windows import CELLS, Window, cut_window

Image8 = NDArray[np.uint8]

GREY = 124
"""What lies beyond the image."""


class Asker:
    """Asks the membership network.

    Parameters
    ----------
    network : Membership
        The network, in evaluation mode on its device.
    device : torch.device
        Where it is.
    batch_size : int
        Windows that go through the network together.
    """

    def __init__(self, network: Membership, device: torch.device, *, batch_size: int = 16) -> None:
        self.network, self.device, self.batch_size = network, device, batch_size
        self.half = infers_in_bfloat16(network, device)

    @stage("membership")
    def ask(
        self,
        image: Image8,
        things: NDArray[np.uint8],
        windows: Sequence[Window],
        prompts: Sequence[tuple[Image8, Window]],
    ) -> NDArray[np.float32]:
        """Ask about prompts on one image.

        Parameters
        ----------
        image : (H, W, 3) array of uint8
            RGB image.
        things : (H, W) array of uint8
            255 on thing pixels, 0 elsewhere.
        windows : sequence of Window
            Where to look, in pixels.
        prompts : sequence of tuple
            255 on each prompt, in an array of any scale, and the window in that array's own pixels.

        Returns
        -------
        (N, CELLS, CELLS) array of float32
            Logits of belonging to the prompt's object.
        """
        answers = [np.zeros((0, CELLS, CELLS), np.float32)]
        photograph, mask = Image.fromarray(image), Image.fromarray(things)
        for first in range(0, len(windows), self.batch_size):
            part = slice(first, first + self.batch_size)
            pictures = np.stack([cut_window(photograph, w, fill=GREY, smooth=True) for w in windows[part]])
            known = np.stack([cut_window(mask, w, fill=0, smooth=True) for w in windows[part]])
            shown = np.stack([cut_window(p, w, fill=0, smooth=True) for p, w in prompts[part]])
            x = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(self.device, non_blocking=True)
            t, p = (torch.from_numpy(a)[:, None].to(self.device).float() / 255 for a in (known, shown))
            with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                answers.append(self.network(x, t, p).float()[:, 0].cpu().numpy())
        return np.concatenate(answers)
