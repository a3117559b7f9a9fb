"""A small picture of a few characters: a GIF (GIF89a) in two colours, drawn and coded here. Pure.

The image data is LZW that never learns: a clear code comes before the table would need longer codes, so each pixel is
one code of three bits.
"""

import base64
import struct

LETTERS = "23456789ACEFHKPX"
"""What it can draw; nothing that people take for something else."""
_COLUMNS = {
    "2": "4261514946",
    "3": "2141454b31",
    "4": "1814127f10",
    "5": "2745454539",
    "6": "3c4a494930",
    "7": "0171090503",
    "8": "3649494936",
    "9": "064949291e",
    "A": "7e1111117e",
    "C": "3e41414122",
    "E": "7f49494941",
    "F": "7f09090901",
    "H": "7f0808087f",
    "K": "7f08142241",
    "P": "7f09090906",
    "X": "6314081463",
}
"""Five columns of each glyph in hexadecimal, the lowest bit on top; seven rows."""
_ROWS = 7
_SCALE = 4
_MARGIN = 2
_CODE_BITS = 3
_CLEAR, _END = 4, 5
_CODES_BETWEEN_CLEARS = 2  # the third would be followed by codes of four bits


def data_uri(text: str) -> str:
    """Return the picture of ``text`` as a ``data:`` URI; a character that cannot be drawn is left blank."""
    return "data:image/gif;base64," + base64.b64encode(gif(text)).decode()


def gif(text: str) -> bytes:
    """Return the picture of ``text`` as a file."""
    rows = _pixels(text)
    width, height = len(rows[0]), len(rows)
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\xff\xff\xff" + b"\x20\x20\x60"
    image = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02"
    return head + image + _blocks(_packed([dot for row in rows for dot in row])) + b"\0;"


def _pixels(text: str) -> list[list[int]]:
    """Return rows of 0 and 1: the glyphs side by side, enlarged, with a margin."""
    blank = "00"
    columns = bytes.fromhex(blank * _MARGIN + "".join(_COLUMNS.get(one, blank * 5) + blank for one in text) + blank)
    lines = [[column >> row & 1 for column in columns] for row in range(_ROWS)]
    empty = [[0] * len(columns)] * _MARGIN
    return [[dot for dot in line for _ in range(_SCALE)] for line in [*empty, *lines, *empty] for _ in range(_SCALE)]


def _packed(dots: list[int]) -> bytes:
    codes: list[int] = []
    for index, dot in enumerate(dots):
        if index % _CODES_BETWEEN_CLEARS == 0:
            codes.append(_CLEAR)
        codes.append(dot)
    bits = sum(code << _CODE_BITS * index for index, code in enumerate([*codes, _END]))
    return bits.to_bytes((len(codes) + 1) * _CODE_BITS // 8 + 1, "little")


def _blocks(data: bytes) -> bytes:
    pieces = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)
