# SPDX-License-Identifier: MIT
"""The possible content of a disk after a power cut: a mounted image whose daemon is recorded, the
allowed content of each sector, and images of all possible states of the files.

record.c records the system calls of the unchanged program.  Its log is shared memory, so the writer
knows the position of the log when a write began and when an fsync returned.  Operations that no sync
covered may be on the disk or not.  Each image must be without corruption, have its size, and read in
each sector as at the last fsync or as a later write to that sector; the snapshot is unchanged.
"""
import mmap
import shutil
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from writing import *

SECTOR = 512
END, WRITE, SYNC, RESIZE, PUNCH = range(5)
IMAGES = int(os.environ.get('CRASH_IMAGES') or 15)
KEEP = os.environ.get('CRASH_KEEP')
QEMU_SAMPLE, MOUNT_SAMPLE = 10, 300
ZEROS = bytes(SECTOR)


def recorder():
    """record.so, made where the test runs."""
    so = os.path.join(os.environ['TEST_TMP'], 'record.so')
    if not os.path.exists(so):
        cc = next((c for c in ('cc', 'gcc', 'clang') if shutil.which(c)), None)
        if not cc:
            skip('needs a compiler')
        run(cc, '-O2', '-shared', '-fPIC', '-o', so, LIB / 'record.c', '-ldl')
    return so


# ---- the log --------------------------------------------------------------------

class Log:
    ROOM = 256 * M

    def __init__(self, path):
        self.path = os.path.abspath(path)
        with open(path, 'w+b') as f:
            f.truncate(self.ROOM)
            self.map = mmap.mmap(f.fileno(), self.ROOM)
        self.map[:8] = struct.pack('=Q', 8)

    def position(self):
        return struct.unpack('=Q', self.map[:8])[0]

    def operations(self):
        """[(what, operation)] in the order in which they began and, as END, ended."""
        out, begun, at, end = [], {}, 8, self.position()
        while at < end:
            op = Operation(at, *struct.unpack('=IIQq', self.map[at:at + 24]))
            at += 24
            if op.what == WRITE:
                op.data = self.map[at:at + op.len]
                at += (op.len + 7) // 8 * 8
            if op.what == END:
                begun[op.off].result, begun[op.off].end = op.len, op.at
                out.append((END, begun[op.off]))
            else:
                begun[op.at] = op
                out.append((op.what, op))
        for op in begun.values():
            check(op.result is not None and op.result >= 0, f'no call on the image fails: {op.what}')
            op.data = op.data[:op.result]
        return out


class Operation:
    def __init__(self, at, what, file, off, length):
        self.at, self.what, self.file, self.off, self.len = at, what, file, off, length
        self.data, self.result, self.end = b'', None, None
        self.covers, self.over = [], False

    def apply(self, disk):
        if self.what == RESIZE:
            del disk[self.off:]
            disk.extend(bytes(self.off - len(disk)))
        elif self.what == PUNCH:
            end = min(self.off + self.len, len(disk))
            disk[self.off:end] = bytes(max(end - self.off, 0))
        else:
            self.put(disk, 0, len(self.data))

    def put(self, disk, a, b):
        disk.extend(bytes(max(self.off + a - len(disk), 0)))
        disk[self.off + a:self.off + b] = self.data[a:b]

    def apply_torn(self, disk, r):
        """Some of its sectors."""
        if self.what != WRITE:
            self.apply(disk)
            return
        a = 0
        while a < len(self.data):
            b = min(len(self.data), a + SECTOR - (self.off + a) % SECTOR)
            if r.random() < .5:
                self.put(disk, a, b)
            a = b


# ---- the disk, as the writer knows it -----------------------------------------------

class Change:
    def __init__(self, began, value):
        self.began, self.value, self.ended = began, value, None


class Recorded:
    """An image that is written through a mount.  Each sector that is written says which it is, and
    with which write it came.  Threads write to different sectors."""

    def __init__(self, name, fmt='qcow2', options=(), files=('img',), snapshot=None):
        self.name, self.fmt, self.snapshot, self.files = name, fmt, snapshot, files
        self.lock, self.clock, self.turn = threading.Lock(), 0, 0
        self.start = [Path(f).read_bytes() for f in files]
        content = raw_of('img', fmt)
        self.changes = [[Change(0, content[i:i + SECTOR])] for i in range(0, len(content), SECTOR)]
        for c in self.changes:
            c[0].ended = 0
        self.flushes = [(0, 0)]  # (position when it had returned, clock when it began)
        self.sizes = [[0, 0, len(content)]]  # [began, was so for certain, size]
        self.log = Log('log')
        os.environ.update(RECORD_LOG=self.log.path, LD_PRELOAD=recorder(),
                          RECORD_FILES=':'.join(os.path.abspath(f) for f in files))
        try:
            self.mount = Mount('img', '-o', ','.join(('rw', *options)), ro=False)
        finally:
            for v in 'RECORD_LOG', 'LD_PRELOAD', 'RECORD_FILES':
                del os.environ[v]
        self.fd = os.open(self.mount.path(os.listdir(self.mount.where)[0]), os.O_RDWR)

    @property
    def size(self):
        return self.sizes[-1][2]

    def tick(self):
        with self.lock:
            self.clock += 1
            return self.clock

    def change(self, off, values, call):
        first, began = off // SECTOR, self.log.position()
        made = [Change(began, v) for v in values]
        with self.lock:
            while len(self.changes) < first + len(made):
                self.changes.append([Change(0, ZEROS)])
                self.changes[-1][0].ended = 0
            for i, c in enumerate(made):
                self.changes[first + i].append(c)
        call()
        ended = self.tick()
        for c in made:
            c.ended = ended

    def write(self, off, length):
        with self.lock:
            self.turn += 1
            turn = self.turn
        values = [struct.pack('<QQ', s, turn) * (SECTOR // 16)
                  for s in range(off // SECTOR, (off + length) // SECTOR)]
        data = b''.join(values)
        self.change(off, values, lambda: check(
            os.pwrite(self.fd, data, off) == len(data), f'{len(data)} bytes are written at {off}'))

    def punch(self, off, length):
        self.change(off, [ZEROS] * (length // SECTOR), lambda: punch(self.fd, off, length))

    def zero(self, off, length):
        self.change(off, [ZEROS] * (length // SECTOR), lambda: zero_range(self.fd, off, length))

    def fsync(self, call=os.fsync):
        began = self.tick()
        call(self.fd)
        with self.lock:
            self.flushes.append((self.log.position(), began))

    def resize(self, size):
        low, high = sorted((size, self.size))
        self.sizes.append([self.log.position(), 1 << 63, size])
        self.change(low, [ZEROS] * ((high - low) // SECTOR), lambda: os.ftruncate(self.fd, size))
        self.fsync()
        self.sizes[-1][1] = self.log.position()

    def end(self):
        """Unmounts.  Then all is there, and all that was done to the files is in the log."""
        os.close(self.fd)
        status = self.mount.unmount()
        check(status == 0, f'it ends with status 0, not {status}: {self.mount.log()}')
        disk = b''.join(c[-1].value for c in self.changes)[:self.size]
        agrees('img', disk, self.fmt)
        now = [bytearray(s) for s in self.start]
        operations = self.log.operations()
        for what, op in operations:
            if what in (WRITE, RESIZE, PUNCH):
                op.apply(now[op.file])
        for name, made in zip(self.files, now):
            same_bytes(made, Path(name).read_bytes(), f'{self.name}: {name}, made of the log')
        return operations

    # ---- allowed reads after a crash

    def may_be(self, at):
        """The certain content of the sectors, and {sector: values} for the uncertain ones, if the
        power is cut at position `at` of the log."""
        floor = max(began for done, began in self.flushes if done <= at)
        known, others = bytearray(), {}
        for s, changes in enumerate(self.changes):
            least = max(i for i, c in enumerate(changes) if c.ended <= floor)
            known += changes[least].value
            values = {c.value for c in changes[least:] if c.began <= at}
            if len(values) > 1:
                others[s] = values
        return known, others

    def may_be_size(self, at):
        out = set()
        for began, certain, size in self.sizes:
            if certain <= at:
                out = {size}
            elif began <= at:
                out.add(size)
        return out


# ---- images ------------------------------------------------------------------------

class Cutter:
    """Makes about `images` images of the record, and checks each."""

    def __init__(self, disk, operations, images=IMAGES):
        self.disk, self.operations, self.images = disk, operations, images
        self.made, self.bad = 0, []
        self.threads, self.room = 2, threading.BoundedSemaphore(4)
        self.folders = []
        for i in range(4):
            os.mkdir(f'cut{i}')
            for base in Path('.').glob('base*'):
                os.link(base, f'cut{i}/{base.name}')
            self.folders.append(f'cut{i}')

    def run(self):
        syncs = sum(what == END and op.what == SYNC for what, op in self.operations)
        check(syncs > 0, 'it syncs')
        safe, pending = [bytearray(s) for s in self.disk.start], []
        budget = self.images / (syncs + 1)
        with ThreadPoolExecutor(self.threads) as self.pool:
            for what, op in self.operations:
                if what == SYNC:
                    op.covers = [p for p in pending if p.over and p.file == op.file]
                elif what != END:
                    pending.append(op)
                elif op.what != SYNC:
                    op.over = True
                else:
                    self.cut(safe, pending, op, budget)
                    for p in op.covers:
                        if p in pending:
                            p.apply(safe[p.file])
                            pending.remove(p)
            self.cut(safe, pending, None, budget)
        for folder in self.folders:
            shutil.rmtree(folder)
        if self.bad:
            fail('\n# not so: '.join(f'{self.disk.name}: {b}' for b in self.bad[:5]))

    def cut(self, safe, pending, sync, budget):
        """The power is cut after the sync before this one, and before this one has ended."""
        n = int(budget) + (rng.random() < budget % 1)
        if not pending or not n:
            return
        position = sync.end if sync else 1 << 62
        expected = self.disk.may_be(position), self.disk.may_be_size(position)
        choices = []
        if 1 << len(pending) <= n:
            choices = [[bits >> i & 1 for i in range(len(pending))]
                       for bits in range(1 << len(pending))]
        while len(choices) < n:
            choices.append(self.choose(len(pending)))
        seen = set()
        for choice in choices:
            files = [bytearray(s) for s in safe]
            for p, part in zip(pending, choice):
                if part == 1:
                    p.apply(files[p.file])
                elif part:
                    p.apply_torn(files[p.file], rng)
            content = tuple(map(bytes, files))
            if content in seen:
                continue
            seen.add(content)
            self.submit(files, expected, f'before the sync at {position}, {choice}')

    @staticmethod
    def choose(n):
        """Of each: not there, there, or in part."""
        pick = rng.randrange(n)
        return rng.choice((
            lambda: [0] * n, lambda: [1] * n,
            lambda: [rng.randrange(2) for _ in range(n)],
            lambda: [rng.choice((0, 1, .5)) for _ in range(n)],
            lambda: [int(i == pick) for i in range(n)],
            lambda: [int(i != pick) for i in range(n)],
            lambda: [int(i < pick) for i in range(n)],
            lambda: [1 if i < pick else .5 * (i == pick) for i in range(n)]))()

    def submit(self, files, expected, about):
        number, self.made = self.made, self.made + 1
        self.room.acquire()
        folder = self.folders.pop()

        def job():
            try:
                wrong = self.look(folder, files, expected, number)
            except (Exception, SystemExit) as e:  # pylint: disable=broad-except
                wrong = f'{type(e).__name__}: {e}'
            if wrong:
                self.bad.append(f'{wrong} ({about}, image {number})')
                if KEEP and len(self.bad) <= 5:
                    shutil.copytree(folder, f'{KEEP}/{self.disk.name}-{number}')
            self.folders.append(folder)
            self.room.release()
        self.pool.submit(job)

    # ---- one image, and its faults

    def look(self, folder, files, expected, number):
        for name, content in zip(self.disk.files, files):
            Path(folder, name).write_bytes(content)
        wrong = self.corruption(folder)
        if wrong:
            return wrong
        raw = self.raw(folder)
        wrong = self.content(raw, *expected)
        if wrong:
            return wrong
        if self.disk.snapshot and number % QEMU_SAMPLE == 0 and \
                self.raw(folder, '-l', 'one') != self.disk.snapshot:
            return 'the snapshot has changed'
        if number % QEMU_SAMPLE == 1 or number % MOUNT_SAMPLE == 2:
            return self.goes_on(folder, raw, number % MOUNT_SAMPLE == 2)
        return None

    def corruption(self, folder):
        if self.disk.fmt != 'qcow2':
            return None
        r = subprocess.run(['qemu-img', 'check', '-f', 'qcow2', 'img'], cwd=folder,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return None if r.returncode in (0, 3) else f'qemu-img check: {r.returncode}: {r.stdout[:400]}'

    def raw(self, folder, *options):
        run('qemu-img', 'convert', '-f', self.disk.fmt, *options, '-O', 'raw', 'img', 'raw',
            cwd=folder)
        return Path(folder, 'raw').read_bytes()

    @staticmethod
    def content(raw, sectors, sizes):
        known, others = sectors
        if len(raw) not in sizes:
            return f'its size is {len(raw)}, and never was'
        if len(raw) > len(known):
            known = known + bytes(len(raw) - len(known))
        want = known[:len(raw)]
        for s, values in others.items():
            at = s * SECTOR
            if at < len(want) and raw[at:at + SECTOR] in values:
                want[at:at + SECTOR] = raw[at:at + SECTOR]
        if raw == want:
            return None
        s = next(i for i in range(0, len(raw), SECTOR) if raw[i:i + SECTOR] != want[i:i + SECTOR])
        may = [v[:16].hex() for v in others.get(s // SECTOR, [want[s:s + SECTOR]])]
        return f'sector {s // SECTOR} is {raw[s:s + 16].hex()}, and may be {may}'

    def goes_on(self, folder, raw, by_us):
        """The next open reads that, and can write."""
        off = len(raw) // 3 // SECTOR * SECTOR
        data = b'again...' * 1024
        if by_us:
            with Mount(f'{folder}/img', '-o', 'backing=any', ro=False, where=f'{folder}/mnt') as m:
                path = m.path('img.raw')
                if Path(path).read_bytes() != raw:
                    return 'mounted again, it is something else'
                if len(self.disk.files) == 1:
                    with open(path, 'r+b') as f:
                        f.seek(off)
                        f.write(data)
        else:
            qio_in(folder, self.disk.fmt, f'write -q -P 0x61 {off} {len(data)}')
            data = b'a' * len(data)
        if by_us and len(self.disk.files) > 1:
            return None
        want = raw[:off] + data + raw[off + len(data):]
        if self.raw(folder) != want:
            return 'what is written to it afterwards is not there'
        return self.corruption(folder)


def qio_in(folder, fmt, command):
    run('qemu-io', '-f', fmt, '-c', command, 'img', cwd=folder)
