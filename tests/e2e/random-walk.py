#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A random walk of writes through a mount, against a flat model.

usage: random-walk.py [--ops N] [--seed N] [--only NAME] [--threads N]

A third of the kinds of images, by the seed; LONG=1: all.  Half of the images are mounted with -o compress.  Ends in: equal bytes through us, equal bytes through qemu-img convert, and
qemu-img check without corruption or leak.  Prints its seed.
"""
import argparse, ctypes, os, random, subprocess, sys, tempfile, threading, time

sys.dont_write_bytecode = True
QCOWFS = os.environ.get("QCOWFS") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/qcowfs")
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]

def sh(*a):
    r = subprocess.run(a, capture_output=True, text=True)
    if r.returncode:
        raise RuntimeError(f"{a}: {r.stdout}{r.stderr}")
    return r.stdout

def fallocate(fd, mode, off, length):
    if libc.fallocate(fd, mode, off, length):
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))

VARIANTS = {}
for v, fmt, compat in (("v1", "qcow", ""), ("v2", "qcow2", "compat=0.10"), ("v3", "qcow2", "compat=1.1")):
    for cs in ([""] if v == "v1" else ["512", "4k", "64k", "2M"]):
        opts = ",".join(x for x in (compat, f"cluster_size={cs}" if cs else "") if x)
        VARIANTS[f"{v}-{cs or 'plain'}"] = (fmt, opts, "plain")
        VARIANTS[f"{v}-{cs or 'plain'}-backing"] = (fmt, opts, "backing")
        VARIANTS[f"{v}-{cs or 'plain'}-longbacking"] = (fmt, opts, "longbacking")
        if cs in ("512", "64k", ""):
            VARIANTS[f"{v}-{cs or 'plain'}-packed"] = (fmt, opts, "packed")
        if v != "v1" and cs in ("512", "64k"):
            VARIANTS[f"{v}-{cs}-snapshot"] = (fmt, opts, "snapshot")
for rb in (1, 2, 4, 8, 32, 64):
    for cs in ("512", "64k"):
        VARIANTS[f"v3-{cs}-refcount{rb}"] = ("qcow2", f"refcount_bits={rb},cluster_size={cs}", "plain")
        if rb > 1:
            VARIANTS[f"v3-{cs}-refcount{rb}-snapshot"] = ("qcow2", f"refcount_bits={rb},cluster_size={cs}", "snapshot")
for cs in ("16k", "64k"):
    for kind in ("plain", "backing", "packed", "snapshot", "longbacking"):
        VARIANTS[f"v3-ext-{cs}-{kind}"] = ("qcow2", f"extended_l2=on,cluster_size={cs}", kind)
VARIANTS["v3-lazy"] = ("qcow2", "lazy_refcounts=on", "plain")
VARIANTS["v3-zstd"] = ("qcow2", "compression_type=zstd", "packed")
VARIANTS["v3-zstd-512"] = ("qcow2", "compression_type=zstd,cluster_size=512", "plain")
VARIANTS["v3-zstd-2M"] = ("qcow2", "compression_type=zstd,cluster_size=2M", "plain")
VARIANTS["v3-datafile"] = ("qcow2", "data_file=d.data", "plain")
VARIANTS["v3-datafile-raw"] = ("qcow2", "data_file=d.data,data_file_raw=on", "plain")
VARIANTS["v3-datafile-backing"] = ("qcow2", "data_file=d.data", "backing")

LUKS = "encrypt.format=luks,encrypt.iter-time=10"
for name, fmt, opts, kinds in (
    ("aes-v1", "qcow", "encrypt.format=aes", ("plain", "backing", "longbacking")),
    ("aes-v2-4k", "qcow2", "encrypt.format=aes,compat=0.10,cluster_size=4k", ("plain", "backing")),
    ("aes-v3", "qcow2", "encrypt.format=aes", ("plain", "snapshot", "somepacked")),
    ("luks-v2-512", "qcow2", f"{LUKS},compat=0.10,cluster_size=512,encrypt.cipher-alg=twofish-256,encrypt.hash-alg=sha1", ("plain", "snapshot")),
    ("luks-v3", "qcow2", LUKS, ("plain", "backing", "snapshot", "somepacked", "longbacking")),
    ("luks-v3-2M", "qcow2", f"{LUKS},cluster_size=2M", ("plain",)),
    ("luks-cbc-essiv", "qcow2", f"{LUKS},cluster_size=4k,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256", ("plain", "backing")),
    ("luks-serpent-ctr", "qcow2", f"{LUKS},encrypt.cipher-alg=serpent-128,encrypt.cipher-mode=ctr,encrypt.hash-alg=sha512", ("plain",)),
    ("luks-ext", "qcow2", f"{LUKS},extended_l2=on", ("plain", "backing", "snapshot", "somepacked")),
    ("luks-datafile", "qcow2", f"{LUKS},data_file=d.data", ("plain", "backing")),
    ("luks-datafile-raw", "qcow2", f"{LUKS},data_file=d.data,data_file_raw=on", ("plain",)),
    ("luks-falloc", "qcow2", f"{LUKS},preallocation=metadata", ("plain",)),
):
    for kind in kinds:
        VARIANTS[f"{name}-{kind}"] = (fmt, opts, kind)
KEY = "the walker's key"

def of(fmt, opts):
    """How QEMU's programs are told which image."""
    if "encrypt" not in opts:
        return ["-f", fmt, "img"]
    return ["--object", f"secret,id=s,data={KEY}", "--image-opts", f"driver={fmt},file.filename=img,encrypt.key-secret=s"]

def create(fmt, o, *rest):
    """QEMU measures its processor for LUKS, and gives up if that is busy."""
    secret = ["--object", f"secret,id=s,data={KEY}"] if o and "encrypt" in o[1] else []
    for tries in range(20):
        try:
            return sh("qemu-img", "create", "-q", *secret, "-f", fmt, *o, *rest)
        except RuntimeError as e:
            if "CPU usage" not in str(e) or tries == 19:
                raise

def make(d, name, rng):
    fmt, opts, kind = VARIANTS[name]
    size = 3 * 1024 * 1024 + 1536
    base = os.path.join(d, "base.raw")
    bsize = {"backing": 2 * 1024 * 1024 + 700, "longbacking": 5 * 1024 * 1024}.get(kind, size)
    with open(base, "wb") as f:
        for _ in range(bsize // 65536 + 1):
            f.write(rng.choice([b"\0" * 65536, rng.randbytes(65536), rng.randbytes(64) * 1024]))
        f.truncate(bsize)
    img = os.path.join(d, "img")
    if "encrypt" in opts:
        opts += ",encrypt.key-secret=s"
    o = ["-o", opts] if opts else []
    this = of(fmt, opts)
    qio = lambda *commands: sh("qemu-io", *this[:-1], *(x for c in commands for x in ("-c", c)), this[-1])
    cwd = os.getcwd(); os.chdir(d)
    try:
        if kind in ("backing", "longbacking"):
            create(fmt, o, "-b", "base.raw", "-F", "raw", "img", str(size))
        elif kind == "packed":
            subprocess.run(["qemu-img", "convert", "-c", "-O", fmt, "-f", "raw", *o, "base.raw", "img"], capture_output=True)
        else:
            create(fmt, o, "img", str(size))
            if kind == "snapshot":
                qio("write -P 3 100k 900k", "write -P 4 2M 300k")
                sh("qemu-img", "snapshot", *(this[:-1] if "encrypt" in opts else []), "-c", "one", this[-1])
                qio("write -P 5 500k 200k")
            elif kind == "somepacked":
                qio("write -P 3 0 1M", "write -c -P 4 1M 512k", "write -c -P 5 2M 128k")
            elif "prealloc" in opts: # unwritten sectors are noise to QEMU, too
                qio(f"write -z 0 {size}")
        sh("qemu-img", "convert", *this[:-1], "-O", "raw", this[-1], "model.raw")
    finally:
        os.chdir(cwd)
    model = bytearray(open(os.path.join(d, "model.raw"), "rb").read())
    return img, fmt, kind, model

class Walk:
    def __init__(self, d, name, seed, ops):
        self.d, self.name, self.ops = d, name, ops
        self.rng = random.Random(f"{seed}-{name}")
        self.img, self.fmt, self.kind, self.model = make(d, name, self.rng)
        self.this = of(*VARIANTS[name][:2])
        self.keys = []
        if "encrypt" in VARIANTS[name][1]:
            with open(os.path.join(d, "key"), "w") as f:
                f.write(KEY)
            self.keys = ["-o", f"key-file={d}/key"]
        self.compress = ",compress" if random.Random(f"{seed}-{name}-compress").randrange(2) else ""
        self.raw = os.path.join(d, "disk")
        open(self.raw, "w").close()
        self.history = []
    def mount(self):
        r = subprocess.run([QCOWFS, "-o", "rw,backing=any" + self.compress, *self.keys, self.img, self.raw], capture_output=True, text=True)
        if r.returncode:
            raise RuntimeError(f"mount: {r.stderr}")
        self.fd = os.open(self.raw, os.O_RDWR)
    def umount(self):
        os.close(self.fd)
        sh("umount", self.raw)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline: # the daemon ends a moment later
            r = subprocess.run(["qemu-img", "info", "-f", self.fmt, "img"], capture_output=True, cwd=self.d)
            if not r.returncode:
                break
            time.sleep(0.02)
    def place(self):
        n, rng = len(self.model), self.rng
        off = rng.randrange(n)
        if rng.random() < 0.4:
            off -= off % rng.choice([512, 4096, 65536])
        length = min(n - off, rng.choice([1, 3, 512, 4096, rng.randrange(1, 5000), 65536, rng.randrange(1, 200000), rng.randrange(1, 2 << 20)] if rng.random() < .9 else [n]))
        return off, length
    def step(self):
        rng, m = self.rng, self.model
        op = rng.choices(["write", "read", "punch", "zero", "fsync", "truncate", "remount", "allocate"],
                         [40, 20, 12, 8, 5, 2, 1, 2])[0]
        off, n = self.place()
        self.history.append((op, off, n))
        if op == "write":
            data = rng.choice([b"\0" * n, rng.randbytes(n), bytes([rng.randrange(256)]) * n])
            assert os.pwrite(self.fd, data, off) == n, "short write"
            m[off:off + n] = data
        elif op == "read":
            got = os.pread(self.fd, n, off)
            self.same(got, m[off:off + n], off)
        elif op in ("punch", "zero"):
            fallocate(self.fd, 3 if op == "punch" else 0x11, off, n)
            m[off:off + n] = bytes(n)
        elif op == "allocate":
            n = min(n, 100000)
            fallocate(self.fd, 1, off, n)
        elif op == "fsync":
            os.fsync(self.fd)
        elif op == "truncate":
            size = rng.randrange(2 << 20, 4 << 20) & ~511
            try:
                os.ftruncate(self.fd, size)
            except OSError as e:
                if e.errno not in (95, 16):
                    raise
                return
            self.history[-1] = (op, size)
            if size < len(m):
                del m[size:]
            else:
                m.extend(bytes(size - len(m)))
        elif op == "remount":
            self.umount(); self.check(); self.mount()
    def same(self, got, want, base=0):
        if bytes(got) != bytes(want):
            k = next((i for i in range(min(len(got), len(want))) if got[i] != want[i]), min(len(got), len(want)))
            raise AssertionError(f"{self.name}: differs at {base + k} (0x{base + k:x}), lengths {len(got)} {len(want)}; last: {self.history[-12:]}")
    def check(self):
        if self.fmt == "qcow2":
            r = subprocess.run(["qemu-img", "check", *self.this], capture_output=True, text=True, cwd=self.d)
            if r.returncode:
                raise AssertionError(f"{self.name}: check {r.returncode}: {r.stdout[-600:]}{r.stderr[-600:]} last: {self.history[-12:]}")
        out = os.path.join(self.d, "out.raw")
        cwd = os.getcwd(); os.chdir(self.d)
        try:
            sh("qemu-img", "convert", *self.this[:-1], "-O", "raw", self.this[-1], "out.raw")
        finally:
            os.chdir(cwd)
        self.same(open(out, "rb").read(), self.model)
    def run(self):
        self.mount()
        try:
            for _ in range(self.ops):
                self.step()
            self.same(os.pread(self.fd, len(self.model) + 10, 0), self.model)
        except BaseException:
            try: os.close(self.fd)
            except OSError: pass
            subprocess.run(["umount", "-l", self.raw], capture_output=True)
            raise
        self.umount()
        self.check()

def main():
    ap = argparse.ArgumentParser(); a = ap.add_argument
    ops = 30 if os.environ.get("TEST_SANITIZER") else 100
    a("--ops", type=int, default=int(os.environ.get("OPS", ops))); a("--seed", type=int, default=int(os.environ.get("SEED", time.time()))); a("--only", default="")
    o = ap.parse_args()
    print("seed", o.seed, flush=True)
    bad = 0
    names = [name for name in VARIANTS if o.only in name]
    if not o.only and not os.environ.get("LONG"):
        step = 5 if os.environ.get("TEST_SANITIZER") else 3
        names = names[o.seed % step::step]
    for name in names:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMP")) as d:
            try:
                Walk(d, name, o.seed, o.ops).run()
                print("ok", name, flush=True)
            except Exception as e:
                bad += 1
                print("not ok", name, type(e).__name__, str(e)[:1500], flush=True)
                subprocess.run(["umount", "-l", os.path.join(d, "disk")], capture_output=True)
    sys.exit(bool(bad))

main()
