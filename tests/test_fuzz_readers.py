"""A short run of `fuzz_readers`; a long one is `python tests/fuzz_readers.py --minutes N`."""

import warnings

import pytest
from fuzz_readers import READERS, check, feed


@pytest.mark.parametrize("reader", READERS, ids=[reader.name for reader in READERS])
def test_only_sentences_come_out(reader):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what decoders remark on damage, which the command line does not show either
        assert not any(feed(reader, content) for content in reader.good if reader.name not in ("mask.png", "label.png"))
        fed, refused = check(reader, 40, start=1)
    assert fed >= 40
    assert refused
