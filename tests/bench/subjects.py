# SPDX-License-Identifier: MIT
"""The programs that are measured: each shows images as raw files below WORK, until stopped."""
import shutil
import signal

from images import at, need
from system import WORK, command, end_daemons, start, unmount, wait_for_disk

MOUNTPOINT = WORK / 'mnt'
ALL_KINDS = ('plain', 'zlib', 'zstd', 'luks', 'chain', 'spread', 'fresh')


class Subject:
    name = ''
    title = ''
    programs = ()    # without which it is left out
    package = ''     # of Debian, which has them
    format = 'qcow2'
    kinds = ALL_KINDS
    can_write = True

    def why_not(self):
        """Why it cannot be measured here, or None."""
        for program in self.programs:
            if not shutil.which(program):
                return f'{program} is not installed (Debian: {self.package})'
        return None

    def start(self, images, kind):
        """The raw files of these images, which are all of one kind."""
        raise NotImplementedError

    def stop(self):
        unmount(MOUNTPOINT)
        end_daemons()

    def version(self):
        return command(self.programs[0], '--version').splitlines()[0]


class Qcowfs(Subject):
    name = 'qcowfs'
    title = 'qcowfs'

    def __init__(self, program):
        self.program = program

    def start(self, images, kind):
        MOUNTPOINT.mkdir()
        key = ['-o', f'key-file={need("pass")}'] if kind == 'luks' else []
        source = images[0] if len(images) == 1 else images[0].parent
        command(self.program, *key, source, MOUNTPOINT)
        disks = [MOUNTPOINT / f'{image.stem}.raw' for image in images]
        for disk in disks:
            wait_for_disk(disk)
        return disks

    def version(self):
        return ', '.join(command(self.program, '--version').splitlines())


class Limit(Subject):
    name = 'limit'
    title = 'limit (a raw file through FUSE, and nothing else)'
    programs = ('cc', 'pkg-config')
    package = 'gcc, pkg-config'
    format = 'raw'
    kinds = ('plain', 'fresh')

    def why_not(self):
        if at('limit').exists():
            return None
        if reason := super().why_not():
            return reason
        found = shutil.which('pkg-config') and command('pkg-config', '--list-all')
        return None if '\nfuse3 ' in '\n' + found else 'it needs fuse3 (Debian: libfuse3-dev)'

    def start(self, images, kind):
        MOUNTPOINT.mkdir()
        command(need('limit'), images[0], MOUNTPOINT, 4)
        wait_for_disk(MOUNTPOINT / 'f')
        return [MOUNTPOINT / 'f']

    def version(self):
        return 'libfuse ' + command('pkg-config', '--modversion', 'fuse3').strip()


class StorageDaemon(Subject):
    name = 'qsd'
    title = 'qemu-storage-daemon (its FUSE export)'
    programs = ('qemu-storage-daemon',)
    package = 'qemu-system-common'

    def start(self, images, kind):
        argv, disks = [], []
        if kind == 'luks':
            argv += ['--object', f'secret,id=s,file={need("pass")}']
        encrypted = ',encrypt.format=luks,encrypt.key-secret=s' if kind == 'luks' else ''
        for i, image in enumerate(images):
            disk = WORK / f'export{i}'
            disk.touch()
            disks.append(disk)
            argv += self.export(i, image, disk, encrypted)
        command('qemu-storage-daemon', *argv, '--daemonize', '--pidfile', WORK / 'pid')
        for disk in disks:
            wait_for_disk(disk)
        return disks

    @staticmethod
    def export(i, image, disk, encrypted):
        return ['--blockdev', f'driver=file,node-name=f{i},filename={image},cache.direct=off',
                '--blockdev', f'driver=qcow2,node-name=q{i},file=f{i},discard=unmap{encrypted}',
                '--export', f'type=fuse,id=e{i},node-name=q{i},mountpoint={disk},writable=on']

    def stop(self):
        end_daemons(signal.SIGTERM)


class NbdFuse(Subject):
    name = 'nbdfuse'
    title = 'nbdfuse (over qemu-nbd)'
    programs = ('nbdfuse', 'qemu-nbd')
    package = 'libnbd-bin, qemu-utils'
    kinds = ('plain', 'zlib', 'zstd', 'luks', 'chain', 'fresh')

    def start(self, images, kind):
        MOUNTPOINT.mkdir()
        disk = MOUNTPOINT / 'disk.raw'
        source = ['-f', 'qcow2', images[0]]
        if kind == 'luks':
            source = ['--object', f'secret,id=s,file={need("pass")}', '--image-opts',
                      f'driver=qcow2,file.filename={images[0]},encrypt.key-secret=s']
        start('nbdfuse', disk, '[', 'qemu-nbd', '--discard=unmap', *source, ']')
        wait_for_disk(disk)
        return [disk]

    def version(self):
        return ', '.join(command(*argv).splitlines()[0]
                         for argv in (('nbdfuse', '--version'), ('qemu-nbd', '--version')))


class QcowMount(Subject):
    name = 'qcowmount'
    title = 'qcowmount (libqcow; reads only)'
    programs = ('qcowmount',)
    package = 'libqcow-utils'
    kinds = ('plain', 'zlib')
    can_write = False

    def start(self, images, kind):
        MOUNTPOINT.mkdir()
        start('qcowmount', images[0], MOUNTPOINT)
        wait_for_disk(MOUNTPOINT / 'qcow1')
        return [MOUNTPOINT / 'qcow1']

    def version(self):
        return command('qcowmount', '-V').splitlines()[0]


class QemuImg(Subject):
    """What reads an image without anything being mounted; the disk is the image itself."""
    name = 'qemu-img'
    title = 'qemu-img, of the QCOW2 file itself'
    programs = ('qemu-img',)
    package = 'qemu-utils'

    def start(self, images, kind):
        return images

    def stop(self):
        pass


NAMES = ('qcowfs', 'limit', 'qsd', 'nbdfuse', 'qcowmount', 'qemu-img')


def all_subjects(program):
    return [Qcowfs(program), Limit(), StorageDaemon(), NbdFuse(), QcowMount(), QemuImg()]
