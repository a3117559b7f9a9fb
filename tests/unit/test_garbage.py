"""What the composition root does by itself, without a daemon."""

import gc

import pytest

from freshd.garbage import uncollected


def test_garbage_is_looked_for_again_once_the_start_is_over() -> None:
    try:
        with uncollected() as settle:
            assert not gc.isenabled()
            settle()
            assert gc.isenabled()
            assert gc.get_freeze_count() > 0
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_garbage_is_looked_for_again_after_a_start_that_failed() -> None:
    with pytest.raises(OSError, match="no room"), uncollected():
        raise OSError("no room")
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
