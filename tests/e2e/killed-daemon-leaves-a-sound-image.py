#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# The daemon is killed while four threads write numbered records and fsync them: the image has no
# corruption, leaks at most; records that an fsync of any descriptor covered are there; all others
# are the old or the new record.  LONG=1: 50 rounds.
import struct
import threading
from writing import *

SIZE, RECORD, THREADS = 48 * M, 12 * K, 4
PLACES = SIZE // RECORD // THREADS
KINDS = [('qcow', ''), ('qcow2', 'compat=0.10'), ('qcow2', 'compat=1.1,cluster_size=4k'),
         ('qcow2', 'extended_l2=on'), ('qcow2', 'lazy_refcounts=on')]


def record(place, turn):
    return struct.pack('<QQ', place, turn) * (RECORD // 16) if turn else bytes(RECORD)


class Writer(threading.Thread):
    """Of each place: the turn that was covered by an fsync, and those that were written since."""

    def __init__(self, number, path, state):
        super().__init__()
        self.state, self.r = state, random.Random(f'{SEED}-{number}-{time.monotonic()}')
        self.places = [number * PLACES + i for i in range(PLACES)]
        self.fd = os.open(path, os.O_RDWR | (os.O_DSYNC if number == 0 else 0))
        self.syncer = os.open(path, os.O_RDONLY if number == 1 else os.O_RDWR)

    def run(self):
        try:
            while True:
                self.batch()
        except OSError:
            pass  # it is gone
        for fd in self.fd, self.syncer:
            errno_of(os.close, fd)

    def batch(self):
        wrote = {}
        for place in self.r.sample(self.places, self.r.randrange(1, 20)):
            safe, since = self.state[place]
            turn = max([safe, *since]) + 1
            punched = self.r.random() < .1
            since.append(0 if punched else turn)
            if punched:
                punch(self.fd, place * RECORD, RECORD)
            else:
                os.pwrite(self.fd, record(place, turn), place * RECORD)
            wrote[place] = since[-1]
        os.fsync(self.syncer)
        for place, turn in wrote.items():
            self.state[place] = (turn, [])


def fits(got, place, safe, since):
    """Each sector is of one of the records that may be there."""
    if not since:
        return got == record(place, safe)
    may = [record(place, t) for t in (safe, *since)]
    return all(any(got[i:i + 512] == m[i:i + 512] for m in may) for i in range(0, RECORD, 512))


def round_of(image, fmt, state):
    m = Mount(image, ro=False)
    path = m.path(os.listdir(m.where)[0])
    writers = [Writer(i, path, state) for i in range(THREADS)]
    for w in writers:
        w.start()
    time.sleep(rng.uniform(0.05, 1))
    m.process.kill()
    m.process.wait()
    for w in writers:
        w.join(20)
        check(not w.is_alive(), 'who wrote gets an error')
    run('fusermount3', '-u', '-z', m.where)
    sound(image, fmt, leaks=True)
    content = raw_of(image, fmt)
    for place, (safe, since) in state.items():
        got = content[place * RECORD:(place + 1) * RECORD]
        check(fits(got, place, safe, since),
              f'{image}: record {place} is {safe} or {since}, not '
              f'{struct.unpack("<QQ", got[:16])} .. {struct.unpack("<QQ", got[-16:])}')
        state[place] = settled(got, place, safe, since)


def settled(got, place, safe, since):
    for turn in (safe, *since):
        if got == record(place, turn):
            return turn, []
    return safe, since


states = {}
for i in range(50 if LONG else 5):
    fmt, options = KINDS[i % len(KINDS)]
    image = f'disk{i % len(KINDS)}.img'
    if image not in states:
        create(image, SIZE, fmt=fmt, options=options)
        states[image] = {p: (0, []) for p in range(PLACES * THREADS)}
    for _ in range(2):
        round_of(image, fmt, states[image])
