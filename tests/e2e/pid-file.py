#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# -o pid-file: the daemon's process id, from before the command returns until all is in the
# images; one that cannot be written is an error, and nothing that is no process id is lost.
from qcowtest import *

create('disk.qcow2', '8M')
os.mkdir('mnt')
os.mkdir('run')
FILE = Path('run/pid')


def mount(*options, ok=True, file=FILE):
    r = subprocess.run([QCOWFS, '-o', f'pid-file={file}', *options, 'disk.qcow2', 'mnt'],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    check((r.returncode == 0) == ok, f'status {r.returncode}: {r.stderr}')
    return r


def refused(why, file=FILE):
    r = mount(ok=False, file=file)
    check(r.returncode == 1 and r.stderr.startswith(f'qcowfs: pid-file: {os.path.abspath(file)}: ')
          and why in r.stderr and r.stderr.count('\n') == 1, f'{why}: {r.returncode} {r.stderr}')
    check(not is_mounted('mnt'), 'nothing is mounted')


mount()
pid = int(FILE.read_text())
check(Path(f'/proc/{pid}/comm').read_text() == 'qcowfs\n', 'that is the daemon')
check(FILE.read_text() == f'{pid}\n', 'one line')

# Another one does not take it.
os.mkdir('other')
r = subprocess.run([QCOWFS, '-o', f'ro,pid-file={FILE}', 'disk.qcow2', 'other'],
                   capture_output=True, text=True, timeout=PATIENCE)
check(r.returncode == 1 and 'another qcowfs uses the file' in r.stderr, f'{r.returncode} {r.stderr}')
check(FILE.read_text() == f'{pid}\n', 'it is as it was')

# When it goes, all is in the image.
with open('mnt/disk.raw', 'r+b', buffering=0) as f:
    f.write(noise(4 << 20))
run('fusermount3', '-u', 'mnt')
until(20, lambda: not FILE.exists(), 'it goes with the daemon')
run('qemu-img', 'check', '-q', 'disk.qcow2')

# One mount after the other, at once: the daemon before may still be leaving.
for _ in range(20):
    mount()
    run('fusermount3', '-u', 'mnt')
mount()
pid = int(FILE.read_text())
check(Path(f'/proc/{pid}/comm').read_text() == 'qcowfs\n', 'it is that of the last')
run('fusermount3', '-u', 'mnt')
until(20, lambda: not FILE.exists(), 'and goes with it')

# The file of a killed daemon is replaced.
mount()
first = int(FILE.read_text())
os.kill(first, signal.SIGKILL)
until(20, lambda: not os.path.exists(f'/proc/{first}/exe'), 'it is dead')
run('fusermount3', '-u', 'mnt', ok=False)
check(FILE.exists(), 'it has left its file')
mount()
check(int(FILE.read_text()) != first, 'the file is that of the next')
os.kill(int(FILE.read_text()), signal.SIGTERM)
until(20, lambda: not FILE.exists(), 'a signal, too')

# One that was replaced meanwhile is somebody else's.
mount()
pid = int(FILE.read_text())
FILE.unlink()
FILE.write_text('mine')
run('fusermount3', '-u', 'mnt')
until(20, lambda: not os.path.exists(f'/proc/{pid}'), 'it ends')
check(FILE.read_text() == 'mine', 'it stays')
FILE.unlink()

# With the mountpoint over its folder.
os.rename('mnt', 'plain')
os.symlink('run', 'mnt')
mount()
run('fusermount3', '-u', 'run')
until(20, lambda: not FILE.exists(), 'it is removed from below the mount')
os.unlink('mnt')
os.rename('plain', 'mnt')

# A failure leaves no file; another file is left alone.
r = subprocess.run([QCOWFS, '-o', f'pid-file={FILE}', 'none.qcow2', 'mnt'], capture_output=True)
check(r.returncode == 2 and not FILE.exists(), 'no mount, no file')
before = Path('disk.qcow2').read_bytes()
refused('something else than a process id', 'disk.qcow2')
check(Path('disk.qcow2').read_bytes() == before, 'the image is as it was')
Path('text').write_text('precious\n')
refused('something else than a process id', 'text')
os.symlink('text', 'link')
refused('symbolic links', 'link')
check(Path('text').read_text() == 'precious\n', 'it is as it was')
refused('No such file', 'none/pid')
os.mkfifo('fifo')
refused('something else', 'fifo')
refused('directory', 'run')
r = subprocess.run([QCOWFS, '-o', 'pid-file=', 'disk.qcow2', 'mnt'], capture_output=True, text=True)
check(r.returncode == 1 and "'' is not PATH" in r.stderr, 'it needs a name')
