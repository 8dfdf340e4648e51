"""Points out of JSON: the quick reader of plain bodies says what the general one says, for whatever is sent."""

import json

import numpy as np
import pytest

from gis.errors import InvalidInput
from gis.responsibility import json_body

MOST = 1000
PLAIN = b'{"points": [[120.312345678901234, 31.5], [-0.25, 90], [0, 7.000000000000000000001]]}'


def both(body: bytes):
    """What a body gives, and what the general reader makes of it; the code and words of a refusal where it does."""
    readers = (lambda: json_body.points_of(body, most=MOST), lambda: json_body._any_points(body, MOST))
    return tuple(map(told, readers))


def told(read):
    try:
        return tuple((column + 0.0).tobytes() for column in read())  # -0 is no other place than 0
    except InvalidInput as error:
        return error.code, str(error.params)


def is_plain(body: bytes) -> bool:
    return json_body._plain_points(body, MOST) is not None


def test_numbers_come_bit_by_bit_as_they_were_written():
    rng = np.random.default_rng(5)
    points = np.concatenate([
        rng.uniform([-180, -90], [180, 90], (300, 2)),
        rng.uniform([120, 31], [121, 32], (300, 2)).round(6),
        rng.integers(-180, 180, (300, 2)).astype(float),
    ])  # fmt: skip
    for separators in ((",", ":"), (", ", ": "), (" ,\n", "\t: ")):
        body = json.dumps({"points": points.tolist()}, separators=separators).encode()
        assert is_plain(body)
        assert np.array_equal(np.stack(json_body.points_of(body, most=MOST), axis=1), points)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'{"points": []}', b'{"points": {}}', b'{"points": null}', b'{"point": [[1, 2]]}',
        b'{"points": [[null, 2], [1, null]]}', b'{"points": [[1e1, 2E-1]]}', b'{"points": [[1, 2, 3]]}',
        b'{"points": [[1]]}', b'{"points": [["1", "2"]]}', b'{"points": [[1, 2]], "crs": "wgs84"}',
        b'{"points": [[01, 2]]}', b'{"points": [[1., 2]]}', b'{"points": [[.1, 2]]}', b'{"points": [[+1, 2]]}',
        b'{"points": [[- 1, 2]]}', b'{"points": [[1, 2],]}', b'{"points": [[1, 2]]}}', b'{"points": [[1, 2]]} x',
        b'{"poi nts": [[1, 2]]}', b'{"points": [[NaN, 2]]}', b'\xef\xbb\xbf{"points": [[1, 2]]}',
        b'{"points": [[%s, 2]]}' % (b"9" * 500), b'{"points": [[0.%s, 2]]}' % (b"3" * 500),
        b'{"points": [' + b",".join([b"[1,2]"] * (MOST + 1)) + b"]}", b'{"points": [' + b"[" * 300,
    ],
)  # fmt: skip
def test_what_is_not_plain_is_read_or_refused_as_ever(body):
    here, there = both(body)
    assert here == there


def test_no_byte_can_be_changed_added_or_left_out_unseen():
    assert is_plain(PLAIN)
    letters = b'0189-+.eE,:[]{}" \n\x00\xffpn'
    changed = [PLAIN[:at] + bytes([letter]) + PLAIN[at + more :] for at in range(len(PLAIN)) for letter in letters
               for more in (0, 1)]  # fmt: skip
    cut = [PLAIN[:at] for at in range(len(PLAIN))]
    for body in changed + cut:
        here, there = both(body)
        assert here == there, body
