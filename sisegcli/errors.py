"""Every error a user can cause, as one tree.

SisegError
├── InputError         a file or folder that cannot be used as it is
│   ├── ImageError     an image or mask that cannot be read, or that does not fit its partner
│   ├── LayoutError    a folder in which no images and masks can be paired
│   └── StalledError   a disk or a network path that no longer answers
├── CategoryError      a category list that cannot be read
├── CheckpointError    weights that are missing, foreign or damaged
├── OutputError        an output that exists already or cannot be written
│   └── StorageError   a disk that is full, read-only or gone, so that no output can be written
├── WorkerError        a process of ours that is killed before it can work
└── OptionError        options that contradict each other

Messages are one sentence that names the file and the way out; the command line prints them and exits with code 1
(`OptionError`: 2), without a traceback.
"""

INTERRUPTED = 130
"""Exit code of a program that ended on Ctrl-C (128 + SIGINT)."""


class SisegError(Exception):
    """Base of all errors that a user can cause; its text is the sentence that the user reads."""

    exit_code = 1


class InputError(SisegError):
    """A file or folder cannot be used as it is."""


class ImageError(InputError):
    """An image or a mask cannot be read, or does not fit its partner."""


class LayoutError(InputError):
    """No images and masks can be paired in a folder."""


class StalledError(InputError):
    """Nothing more can be read: a disk or a network path no longer answers."""


class CategoryError(SisegError):
    """A category list cannot be read."""


class CheckpointError(SisegError):
    """Weights are missing, foreign or damaged."""


class OutputError(SisegError):
    """An output exists already or cannot be written."""


class StorageError(OutputError):
    """Nothing more can be written: the disk is full, read-only or gone.

    Parameters
    ----------
    sentence : str
        What the user reads.
    reason : str
        The system's words alone.
    """

    def __init__(self, sentence: str, reason: str = "") -> None:
        super().__init__(sentence)
        self.reason = reason or sentence


class WorkerError(SisegError):
    """Processes that do the work end before they begin."""


class OptionError(SisegError):
    """Options contradict each other."""

    exit_code = 2
