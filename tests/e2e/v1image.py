# SPDX-License-Identifier: MIT
"""Makes version 1 images as no tool of today does."""
import struct
import zlib
from pathlib import Path


def deflate(data):
    c = zlib.compressobj(9, zlib.DEFLATED, -12)
    return c.compress(data) + c.flush()


class V1:
    """Clusters are added one by one; where each thing lies is up to the caller."""

    def __init__(self, size, cluster_bits=12, l2_bits=9, l1_at=48, backing=b'', backing_at=0,
                 padding=0, mtime=0):
        self.cluster_bits, self.l2_bits, self.l1_at = cluster_bits, l2_bits, l1_at
        self.cluster = 1 << cluster_bits
        reach = self.cluster << l2_bits
        self.l1 = [0] * -(-size // reach)
        self.l2 = {}
        self.head = struct.pack('>4sIQIIQBBHIQ', b'QFI\xfb', 1, backing_at if backing else 0,
                                len(backing), mtime, size, cluster_bits, l2_bits, padding, 0,
                                l1_at)
        self.pieces = {0: self.head}
        if backing:
            self.pieces[backing_at] = backing
        self.end = max(l1_at + 8 * len(self.l1), backing_at + len(backing), 48)

    def place(self, data, align, skip=0):
        at = -(-(self.end + skip) // align) * align
        self.pieces[at] = data
        self.end = at + len(data)
        return at

    def table(self, index, align):
        """Where the L2 table is; a new one is placed."""
        if not self.l1[index]:
            self.l1[index] = self.place(bytes(8 << self.l2_bits), align)
            self.l2[index] = [0] * (1 << self.l2_bits)
        return self.l2[index]

    def set(self, n, entry, l2_align=1):
        self.table(n >> self.l2_bits, l2_align)[n & ((1 << self.l2_bits) - 1)] = entry

    def plain(self, n, data, align=512, skip=0, l2_align=1):
        self.table(n >> self.l2_bits, l2_align)
        self.set(n, self.place(data.ljust(self.cluster, b'\0'), align, skip))

    def packed(self, n, data, slack=0, skip=0):
        """False if that does not make it smaller."""
        stream = deflate(data.ljust(self.cluster, b'\0'))
        if len(stream) + slack >= self.cluster:
            return False
        self.table(n >> self.l2_bits, 1)
        at = self.place(stream, 1, skip)
        size = len(stream) + slack
        self.set(n, 1 << 63 | size << (63 - self.cluster_bits) | at)
        return True

    def write(self, path):
        with open(path, 'wb') as f:
            for at, data in self.pieces.items():
                f.seek(at)
                f.write(data)
            for index, entries in self.l2.items():
                f.seek(self.l1[index])
                f.write(struct.pack(f'>{len(entries)}Q', *entries))
            f.seek(self.l1_at)
            f.write(struct.pack(f'>{len(self.l1)}Q', *self.l1))
        return Path(path)
