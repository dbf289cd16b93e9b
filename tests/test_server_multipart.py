"""Bodies cut into parts: the same parts as python-multipart finds, however the bytes arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import MultipartParser
from tfjs_torch_server.boundaries import Cutter
from tfjs_torch_server.problems import Problem

BOUNDARY = b"-x-"
Parts = list[tuple[dict[bytes, bytes], bytes]]

# Bytes that nearly make a boundary, in any order.
contents = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"\r\n", b"\r\n--", b"\r\n---x", b"\r\n---x-", b"x", b"\0"]), max_size=12
)
texts = st.lists(st.sampled_from([b"a", b'"', b";", b" ", b"=", b"\xc3\xa9"]), max_size=5).map(
    lambda pieces: b"".join(pieces).strip()
)
# A boundary inside of a part is the sender's fault, and what comes of it is anybody's.
harmless = contents.map(b"".join).filter(lambda data: b"\r\n--" + BOUNDARY not in b"\r\n" + data + b"\r\n")
parts = st.lists(st.tuples(texts, harmless), min_size=1, max_size=5)


class Taken:
    """Collects what a Cutter finds."""

    def __init__(self) -> None:
        self.parts: list[tuple[dict[bytes, bytes], bytearray]] = []
        self.whole = 0

    def begin(self, headers: dict[bytes, bytes]) -> None:
        self.parts.append((headers, bytearray()))

    def data(self, piece: memoryview) -> None:
        self.parts[-1][1].extend(piece)

    def end(self) -> None:
        self.whole += 1


def body_of(given_parts: list[tuple[bytes, bytes]]) -> bytes:
    heads = (b"--" + BOUNDARY + b"\r\nX-Name: v" + name + b"\r\n\r\n" + data + b"\r\n" for name, data in given_parts)
    return b"".join(heads) + b"--" + BOUNDARY + b"--\r\n"


def ours(chunks: list[bytes]) -> Parts:
    taken = Taken()
    cutter = Cutter(BOUNDARY, taken)
    for chunk in chunks:
        cutter.feed(chunk)
    assert cutter.ended
    assert taken.whole == len(taken.parts)
    return [(headers, bytes(data)) for headers, data in taken.parts]


def theirs(body: bytes) -> Parts:
    found: list[tuple[dict[bytes, bytes], bytearray]] = []
    header = [b"", b""]

    def keep() -> None:
        found[-1][0][header[0].lower()] = header[1]
        header[:] = [b"", b""]

    def add(place: int, piece: bytes) -> None:
        header[place] += piece

    parser = MultipartParser(
        BOUNDARY,
        {
            "on_part_begin": lambda: found.append(({}, bytearray())),
            "on_header_field": lambda data, start, end: add(0, data[start:end]),
            "on_header_value": lambda data, start, end: add(1, data[start:end]),
            "on_header_end": keep,
            "on_part_data": lambda data, start, end: found[-1][1].extend(data[start:end]),
        },
    )
    parser.write(body)
    parser.finalize()
    return [(headers, bytes(data)) for headers, data in found]


def cut(body: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(body)) for place in places} | {0, len(body)})
    return [body[start:stop] for start, stop in pairwise(ends)]


@given(parts, st.lists(st.integers(0, 300), max_size=12))
def test_parts_are_those_of_python_multipart_however_they_arrive(
    given_parts: list[tuple[bytes, bytes]], places: list[int]
) -> None:
    body = body_of(given_parts)
    assert ours(cut(body, places)) == theirs(body) == [({b"x-name": b"v" + n}, d) for n, d in given_parts]


@given(parts)
def test_one_byte_at_a_time_is_no_different(given_parts: list[tuple[bytes, bytes]]) -> None:
    body = body_of(given_parts)
    assert ours([body[i : i + 1] for i in range(len(body))]) == ours([body])


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_any_bytes_are_cut_or_refused(body: bytes, places: list[int]) -> None:
    cutter = Cutter(BOUNDARY, Taken())
    try:
        for chunk in cut(body, places):
            cutter.feed(chunk)
    except Problem:
        return


@pytest.mark.parametrize("length", [1, 1000, 1 << 20])
def test_a_part_is_handed_on_while_it_arrives(length: int) -> None:
    taken = Taken()
    cutter = Cutter(BOUNDARY, taken)
    cutter.feed(b"--" + BOUNDARY + b"\r\n\r\n" + b"y" * length)
    assert len(taken.parts[0][1]) >= length - len(BOUNDARY) - 4
