"""From a PNG file to the numbers that the model takes: the central square, scaled down, normalised by colour.

All of PNG but interlacing, in Python: there is no compiled decoder for guests. A picture of the right size is quick; the time
of others grows with their pixels, so their number is bounded.
"""

import struct
import zlib
from array import array
from collections.abc import Iterator
from itertools import accumulate, pairwise
from math import ceil, floor

SIZE = 224
"""Height and width that the model takes."""

MAX_PIXELS = 1 << 20

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Mean and deviation of each colour, from 0 to 1, that the model was trained with."""

ONE = 1 << 16
"""All of a pixel, in parts."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel by colour type."""


class PictureError(Exception):
    """Why a file is no picture: what to tell the client, and with which status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def tensor(file: bytes) -> array:
    """Planes of red, green and blue, SIZE x SIZE each."""
    width, height, rows = decode(file)
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = [row[3 * left : 3 * (left + side)] for row in rows[top : top + side]]
    if side != SIZE:
        square = scale(square)
    planes = array("f")
    for colour in range(3):
        mean, deviation = MEAN[colour], DEVIATION[colour]
        level = [(value / 255 - mean) / deviation for value in range(256)]
        for row in square:
            planes.extend([level[value] for value in row[colour::3]])
    return planes


def triangle(side: int) -> Iterator[tuple[int, list[int]]]:
    """For each line of the result the first line of the source that it is made of, and the weights from there on; they are
    parts of ONE."""
    ratio = side / SIZE
    reach = max(ratio, 1.0)
    for at in range(SIZE):
        center = (at + 0.5) * ratio
        first, end = max(floor(center - reach), 0), min(ceil(center + reach), side)
        weights = [max(1 - abs(number + 0.5 - center) / reach, 0.0) for number in range(first, end)]
        total = sum(weights)
        # Rounded so that their sum stays what it is, and grey stays grey.
        edges = [round(ONE * part / total) for part in accumulate(weights, initial=0.0)]
        yield first, [after - before for before, after in pairwise(edges)]


def scale(square: list[bytes]) -> list[bytes]:
    """To SIZE x SIZE; neighbours are averaged when the picture shrinks."""
    side = len(square)
    windows = list(triangle(side))
    rows = b"".join(blend(square, windows))
    # The same again with columns for rows: each holds its red, green and blue values one after the other.
    columns = [b"".join(rows[3 * x + colour :: 3 * side] for colour in range(3)) for x in range(side)]
    pixels = b"".join(blend(columns, windows))
    planes = [b"".join(pixels[y + colour * SIZE :: 3 * SIZE] for y in range(SIZE)) for colour in range(3)]
    scaled = []
    for y in range(SIZE):
        row = bytearray(3 * SIZE)
        for colour in range(3):
            row[colour::3] = planes[colour][y * SIZE : (y + 1) * SIZE]
        scaled.append(bytes(row))
    return scaled


def blend(lines: list[bytes], windows: list[tuple[int, list[int]]]) -> Iterator[bytes]:
    """Weighted sums of lines. Each line is one large number with 32 bits for a byte, so that one multiplication, which is
    compiled code, weighs them all: 255 times ONE and the half for rounding fit into 24 bits."""
    length = len(lines[0])
    numbers = [spread(line) for line in lines]
    half = spread(b"\x80" * length) << 8
    for first, weights in windows:
        total = half + sum(weight * number for weight, number in zip(weights, numbers[first:]))
        yield total.to_bytes(4 * length, "little")[2::4]


def spread(line: bytes) -> int:
    lanes = bytearray(4 * len(line))
    lanes[::4] = line
    return int.from_bytes(lanes, "little")


def decode(file: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height, and rows of red, green, blue. Transparency is dropped, grey becomes colour."""
    if not file.startswith(SIGNATURE):
        raise PictureError(415, "the body is not a PNG picture")
    try:
        return _decode(file)
    except (struct.error, zlib.error, IndexError, KeyError, ValueError) as error:
        raise PictureError(400, f"the picture is damaged: {error}") from None


def _decode(file: bytes) -> tuple[int, int, list[bytes]]:
    data, palette, header = bytearray(), b"", b""
    for kind, content in _chunks(file):
        match kind:
            case b"IHDR":
                header = content
            case b"PLTE":
                palette = content
            case b"IDAT":
                data += content
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if interlaced:
        raise PictureError(415, "interlaced pictures are not read")
    if width * height > MAX_PIXELS:
        raise PictureError(413, f"the picture has more than {MAX_PIXELS} pixels")
    if not width or not height or depth not in (1, 2, 4, 8, 16):
        raise ValueError("a size that is none")
    bits = CHANNELS[colour] * depth
    stride = (width * bits + 7) // 8
    size = height * (stride + 1)
    inflater = zlib.decompressobj()
    raw = inflater.decompress(bytes(data), size)
    if len(raw) < size:
        raise ValueError("rows are missing")
    rows = _unfilter(raw, stride, max(bits // 8, 1))
    return width, height, [_rgb(row, width, depth, colour, palette) for row in rows]


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(file):
        length, kind = struct.unpack_from(">I4s", file, at)
        content = file[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", file, at + 8 + length)
        if zlib.crc32(content, zlib.crc32(kind)) != checksum:
            raise ValueError("a wrong checksum")
        yield kind, content
        at += 12 + length


def _unfilter(raw: bytes, stride: int, step: int) -> Iterator[bytes]:
    """Rows as they were before each byte was replaced by its difference to its neighbours, `step` bytes to the left and above."""
    above = bytes(stride)
    for at in range(0, len(raw), stride + 1):
        kind, row = raw[at], bytearray(raw[at + 1 : at + 1 + stride])
        match kind:
            case 0:
                pass
            case 2:
                row = added(row, above)
            case 1 | 3 | 4:
                for i in range(step):
                    row[i::step] = PREDICTED[kind](row[i::step], above[i::step])
            case _:
                raise ValueError(f"filter {kind}")
        above = bytes(row)
        yield above


def added(row: bytes, above: bytes) -> bytearray:
    """Sums without carry from byte to byte, of all bytes at once."""
    low = int.from_bytes(b"\x7f" * len(row), "little")
    left, right = int.from_bytes(row, "little"), int.from_bytes(above, "little")
    total = ((left & low) + (right & low)) ^ ((left ^ right) & ~low)
    return bytearray(total.to_bytes(len(row) + 1, "little")[: len(row)])


def _sub(row: bytes, above: bytes) -> bytes:
    return bytes(total & 255 for total in accumulate(row))


def _average(row: bytes, above: bytes) -> bytes:
    left, out = 0, bytearray()
    for value, up in zip(row, above):
        left = value + (left + up >> 1) & 255
        out.append(left)
    return out


def _paeth(row: bytes, above: bytes) -> bytes:
    left, corner, out = 0, 0, bytearray()
    for value, up in zip(row, above):
        to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
        if to_left > to_up or to_left > to_corner:
            left = up if to_up <= to_corner else corner
        left = value + left & 255
        out.append(left)
        corner = up
    return out


PREDICTED = {1: _sub, 3: _average, 4: _paeth}
"""By filter: one sample of each pixel of a row, from what is left of it and above."""


def _rgb(row: bytes, width: int, depth: int, colour: int, palette: bytes) -> bytes:
    if depth == 16:
        row = row[::2]
    elif depth < 8:
        mask, scale = (1 << depth) - 1, 1 if colour == 3 else 255 // ((1 << depth) - 1)
        shifts = range(8 - depth, -1, -depth)
        row = bytes((byte >> shift & mask) * scale for byte in row for shift in shifts)[:width]
    if colour == 3:
        return b"".join(palette[3 * index : 3 * index + 3] or _missing(index) for index in row)
    if colour in (2, 6):
        planes = [row[number :: CHANNELS[colour]] for number in range(3)]
    else:
        planes = [row[:: CHANNELS[colour]]] * 3
    pixels = bytearray(3 * width)
    for number, plane in enumerate(planes):
        pixels[number::3] = plane
    return bytes(pixels)


def _missing(index: int) -> bytes:
    raise ValueError(f"no colour {index} in the palette")
