"""Record batches of message format 2, as producers send them and as brokers store them."""

import glob
import struct

from schema import varint

TRANSACTIONAL, CONTROL = 16, 32
LONG_AGO = 1_700_000_000_000
HEADER_LENGTH = 61


def crc_table():
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


CRC_TABLE = list(crc_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def nullable(data):
    return varint(-1) if data is None else varint(len(data)) + data


def batch(count=1, producer=-1, epoch=-1, sequence=-1, attributes=0, at=LONG_AGO, value=b"v", key=None, magic=2, good_crc=True):
    """A batch of `count` equal records."""
    records = b""
    for index in range(count):
        record = b"\0" + varint(0) + varint(index) + nullable(key) + nullable(value) + varint(0)
        records += varint(len(record)) + record
    body = struct.pack(">hiqqqhii", attributes, count - 1, at, at, producer, epoch, sequence, count) + records
    crc = crc32c(body) ^ (not good_crc)
    return struct.pack(">qiibI", 0, 9 + len(body), -1, magic, crc) + body


def stored_batches(data_folder, topic):
    """What is alike in the batches of all partitions of a topic: attributes, whether there is a producer, base sequence."""
    kinds = set()
    for path in glob.glob(f"{data_folder}/{topic}-*/*.log"):
        with open(path, "rb") as file:
            data = file.read()
        at = 0
        while at + HEADER_LENGTH <= len(data):
            (length,) = struct.unpack_from(">i", data, at + 8)
            if length <= 0:
                break
            attributes, _, _, _, producer, _, sequence, _ = struct.unpack_from(">hiqqqhii", data, at + 21)
            kinds.add((attributes, producer >= 0, sequence))
            at += 12 + length
    names = ("attributes", "has producer", "base sequence")
    return [dict(zip(names, kind)) for kind in sorted(kinds)]
