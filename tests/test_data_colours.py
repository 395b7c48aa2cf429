import pytest

from sisegcli.data.colours import read_colour_table
from sisegcli.errors import CategoryError


def test_a_table_with_and_without_heading(tmp_path):
    path = tmp_path / "colours.csv"
    path.write_text("id,red,green,blue\n0,0,0,0\n\n7, 128, 64, 128\n")
    assert read_colour_table(path) == {(0, 0, 0): 0, (128, 64, 128): 7}
    path.write_text("7,128,64,128\n")
    assert read_colour_table(path) == {(128, 64, 128): 7}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,2,3\n", "line 1: no colour; write lines id,red,green,blue with colours from 0 to 255"),
        ("0,0,0,0\n1,2,3,256\n", "line 2: no colour"),
        ("0,0,0,0\n1,-2,3,4\n", "line 2: no colour"),
        ("3,1,1,1\n4,1,1,1\n", "line 2: this colour stands for 3 already"),
        ("", "names no colour"),
        ("id,red,green,blue\n", "names no colour"),
    ],
)
def test_what_is_no_table(tmp_path, text, sentence):
    path = tmp_path / "colours.csv"
    path.write_text(text)
    with pytest.raises(CategoryError, match=sentence):
        read_colour_table(path)


def test_a_missing_table(tmp_path):
    with pytest.raises(CategoryError, match=r"none\.csv cannot be read as a colour table"):
        read_colour_table(tmp_path / "none.csv")
