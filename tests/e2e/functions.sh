# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# functions.sh - the library of the shell tests.  A test that sources this runs in
# a new empty folder, and all that it mounted or started ends with it:
#
#	. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
#	image disk.qcow2 1M "write -P 7 0 1000"
#	mount_fs disk.qcow2 mnt
#	same mnt/disk.raw <(raw_of disk.qcow2)
#	unmount mnt
set -u
shopt -s inherit_errexit
set -eE

TEST_LIB=${TEST_LIB:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}
TEST_TOP=${TEST_TOP:-$(cd "$TEST_LIB/../.." && pwd)}
QCOWFS=${QCOWFS:-$TEST_TOP/build/qcowfs}
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C.UTF-8
MOUNTS=() PROCESSES=() LOOPS=() OWN_TMP=
case $0 in /*) SCRIPT=$0 ;; *) SCRIPT=$PWD/$0 ;; esac

if [ -z "${TEST_TMP:-}" ]; then # started by hand
	OWN_TMP=$(mktemp -d)
	TEST_TMP=$OWN_TMP
	chmod 755 "$TEST_TMP"
fi
cd "$TEST_TMP"

at_exit() {
	local status=$? i
	trap - EXIT ERR
	set +e
	UNMOUNT_SECONDS=1
	for ((i = ${#LOOPS[@]} - 1; i >= 0; i--)); do losetup -d "${LOOPS[i]}" 2>/dev/null; done
	for ((i = ${#MOUNTS[@]} - 1; i >= 0; i--)); do
		unmount "${MOUNTS[i]}" 2>/dev/null
	done
	for i in "${PROCESSES[@]}"; do kill "$i" 2>/dev/null; done
	for i in "${PROCESSES[@]}"; do wait "$i" 2>/dev/null; done
	cd /
	[ -z "$OWN_TMP" ] || rm -rf "$OWN_TMP"
	exit "$status"
}
trap at_exit EXIT
trap 'echo "# $0: line $LINENO: status $?: $BASH_COMMAND" >&2' ERR

fail() {
	echo "# not so: $*" >&2
	exit 1
}

skip() {
	echo "$*"
	exit 77
}

# names FOLDER: the names in it, in one line.
names() {
	(cd "$1" && echo *)
}

# requires COMMAND [ARG...]: it must succeed, or the test cannot run here.
requires() {
	"$@" >/dev/null 2>&1 || skip "needs: $*"
}

requires_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

# until_true SECONDS COMMAND [ARG...]: polls.  SECONDS is for an idle machine; a busy one has
# twenty times as long, and at least two minutes.
until_true() {
	local limit=$((SECONDS + ($1 < 6 ? 120 : 20 * $1)))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $limit ] || fail "in time: $*"
		sleep 0.02
	done
}

# ---- an ordinary user --------------------------------------------------------

as_user() {
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

# own_mounts: begins the test anew with a table of mounts of its own, where it has
# none yet; so it must be the first of all.  What others have mounted is not in it:
# their daemons would not end before this test does.
own_mounts() {
	[ -z "${UNSHARED:-}" ] || return 0
	requires unshare --mount true
	# shellcheck disable=SC2016
	if [ -n "$OWN_TMP" ]; then # it makes another
		cd /
		rmdir "$OWN_TMP"
		unset TEST_TMP
	fi
	UNSHARED=1 exec unshare --mount --propagation private sh -c '
		sed -n "s/^[^ ]* \([^ ]*\) fuse[. ].*/\1/p; s/^.dev.loop[^ ]* \([^ ]*\) .*/\1/p" \
			/proc/self/mounts | tac | while read -r where; do
			umount -i -l "$(printf "%b" "$where")"
		done
		exec "$@"' sh "$SCRIPT"
}

# requires_user_mounts: or the test cannot run here.  It may begin anew, with a
# /dev/fuse that is for everybody: so it must be the first of all.
requires_user_mounts() {
	requires_root
	requires which fusermount3
	requires as_user true
	requires as_user test -x "$TEST_TMP"
	if ! as_user test -w /dev/fuse && [ -z "${UNSHARED:-}" ]; then
		own_mounts
	fi
	if [ -n "${UNSHARED:-}" ]; then
		mkdir dev
		requires mount -t tmpfs none dev
		mknod -m 666 dev/fuse c 10 229
		mount --bind dev/fuse /dev/fuse
		umount -l dev
	fi
	[ -u "$(which fusermount3)" ] || skip "needs a fusermount3 that is setuid root"
}

# ---- images -----------------------------------------------------------------

SEED=${SEED:-$RANDOM}
echo "# SEED=$SEED"

# noise FILE BYTES [FILE BYTES]...: text, noise and zeros, the same for the same seed.
noise() {
	python3 - "$SEED" "$@" <<'END'
import random, sys
for name, size in zip(sys.argv[2::2], map(int, sys.argv[3::2])):
    r = random.Random(sys.argv[1] + name)
    with open(name, 'wb') as f:
        while f.tell() < size:
            n = min(r.randrange(1, 60000), size - f.tell())
            kind = r.randrange(3)
            f.write(b'\0' * n if kind == 0 else r.randbytes(n) if kind == 1 else
                    (b'%d all work and no play ' % r.getrandbits(30) * (n // 20 + 1))[:n])
END
}

# qio IMAGE COMMAND...: qemu-io commands on a qcow2 image (or $FMT).
qio() {
	local file=$1 c args=()
	shift
	for c; do args+=(-c "$c"); done
	qemu-io -f "${FMT:-qcow2}" "${args[@]}" "$file" >qio.out 2>&1 || {
		cat qio.out
		fail "qemu-io ${args[*]} $file"
	}
}

# image FILE SIZE [COMMAND...]: a new one, with those qemu-io commands done; -o
# options come from $OPTS.
image() {
	local file=$1 size=$2
	shift 2
	qemu-img create -q -f "${FMT:-qcow2}" ${OPTS:+-o "$OPTS"} "$file" "$size"
	[ $# = 0 ] || qio "$file" "$@"
}

# overlay FILE BACKING FORMAT [COMMAND...]
overlay() {
	local file=$1 backing=$2 format=$3
	shift 3
	qemu-img create -q -f "${FMT:-qcow2}" ${OPTS:+-o "$OPTS"} -b "$backing" -F "$format" "$file"
	[ $# = 0 ] || qio "$file" "$@"
}

# raw_of IMAGE: its content, as QEMU sees it.
raw_of() {
	qemu-img convert -f "${FMT:-qcow2}" -O raw "$1" "$TEST_TMP/.raw_of.$$.$BASHPID"
	cat "$TEST_TMP/.raw_of.$$.$BASHPID"
	rm "$TEST_TMP/.raw_of.$$.$BASHPID"
}

# same A B: the same bytes.
same() {
	cmp "$1" "$2" || fail "$1 and $2 have the same bytes"
}

# shows_as FILE IMAGE: FILE in a mount is what QEMU reads from IMAGE.
shows_as() {
	qemu-img convert -f "${FMT:-qcow2}" -O raw "$2" .shows_as
	same "$1" .shows_as
	rm .shows_as
}

# poke FILE OFFSET HEX: overwrites bytes.
poke() {
	echo "$3" | xxd -r -p | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# ---- the daemon ---------------------------------------------------------------

# mount_fs [OPTION...] SOURCE MOUNTPOINT: in the background, as users do.  Makes
# the mountpoint, if there is none.
mount_fs() {
	local mnt=${!#}
	[ -e "$mnt" ] || mkdir -p "$mnt"
	"$QCOWFS" -o ro "$@" || fail "qcowfs -o ro $*: status $?"
	MOUNTS+=("$(realpath "$mnt")")
}

# mount_fg LOG [OPTION...] SOURCE MOUNTPOINT: with -f, so that the log can be
# read; its process is $DAEMON.
mount_fg() {
	mount_with ro "$@"
}

# mount_with OPTION LOG [OPTION...] SOURCE MOUNTPOINT
mount_with() {
	local option=$1 log=$2 mnt=${!#}
	shift 2
	[ -e "$mnt" ] || mkdir -p "$mnt"
	mnt=$(realpath "$mnt")
	"$QCOWFS" -f -o "$option" "$@" 2>"$log" &
	DAEMON=$!
	PROCESSES+=("$DAEMON")
	MOUNTS+=("$mnt")
	until_true 20 is_mounted "$mnt" || {
		cat "$log"
		return 1
	}
}

# The last mount there must be ours: a file may hide another.
is_mounted() {
	grep -q -- "^[^ ]* $(printf '%s' "$(realpath "$1")" | sed 's/[.[\*^$]/\\&/g') fuse" /proc/mounts
}

# The daemons that serve a folder, as it was given to them; there are others of that name,
# but not with our files open.
daemons_of() {
	local p
	for p in $(pgrep -x qcowfs); do
		[ "$(tr '\0' '\n' <"/proc/$p/cmdline" | tail -n 1)" = "$1" ] || continue
		if find "/proc/$p/fd" -lname "$PWD/*" 2>/dev/null | grep -q .; then echo "$p"; fi
	done 2>/dev/null
}

# are_gone PROCESS...: with all of their threads, so that they hold no file or mount any more.
are_gone() {
	local p key state tasks
	for p; do
		tasks=("/proc/$p/task/"*)
		[ ${#tasks[@]} = 1 ] || return 1
		while read -r key state _; do
			if [ "$key" = State: ] && [ "$state" != Z ]; then return 1; fi
		done <"/proc/$p/status"
	done 2>/dev/null
	return 0
}

# unmount MOUNTPOINT: and its daemon ends, so that its locks are free.  A detached loop device, or a
# program that has just ended, may keep it busy for a moment.
unmount() {
	local i said daemons limit=$((SECONDS + ${UNMOUNT_SECONDS:-120}))
	read -ra daemons <<<"$(daemons_of "$1" | tr '\n' ' ')" # a test may have no /dev/fd
	until said=$({ fusermount3 -u "$1" || umount "$1"; } 2>&1); do
		case $said in *busy*) [ $SECONDS -ge $limit ] || { sleep 0.05 && continue; } ;; esac
		echo "$said" >&2
		return 1
	done
	for i in "${!MOUNTS[@]}"; do
		[ "${MOUNTS[i]}" != "$(realpath "$1")" ] || unset 'MOUNTS[i]'
	done
	MOUNTS=("${MOUNTS[@]}")
	if ! is_mounted "$1"; then until_true 20 are_gone "${daemons[@]}"; fi # else one is below
}

# refuses STATUS REGEX [OPTION...] SOURCE MOUNTPOINT: it exits so, at once, with
# one line on stderr that matches.
refuses() {
	local want=$1 regex=$2 status=0
	shift 2
	timeout -k 1 300 "$QCOWFS" -o ro "$@" >refuses.out 2>refuses.err || status=$?
	if [ "$status" = 0 ]; then MOUNTS+=("$(realpath "${!#}")"); fi
	sed 's/^/# /' refuses.err
	[ "$status" = "$want" ] || fail "qcowfs $*: status $status is $want"
	grep -Eq -- "$regex" refuses.err || fail "qcowfs $*: stderr says: $regex"
	[ "$(wc -l <refuses.err)" = 1 ] || fail "qcowfs $*: one line on stderr"
	grep -Eq '^qcowfs: .+: .+' refuses.err || fail "qcowfs $*: stderr is 'qcowfs: WHAT: WHY'"
	[ ! -s refuses.out ] || fail "qcowfs $*: nothing on stdout"
}

# fails_with REGEX COMMAND [ARG...]: it must, saying so.
fails_with() {
	local regex=$1
	shift
	if "$@" >fails.out 2>&1; then fail "fails: $*"; fi
	grep -Eq -- "$regex" fails.out || {
		cat fails.out
		fail "$*: says $regex"
	}
}

# ---- others who use images ------------------------------------------------------

# has_locked PROCESS: it has all of QEMU's locks for writing.  To look with
# qemu-img instead would keep it from getting them.
has_locked() {
	cat /proc/"$1"/fdinfo/* 2>/dev/null | grep -q 'OFDLCK.* 203 203$'
}

# holds_now IMAGE: starts $HOLDER, again if it has ended: the image was still locked.
holds_now() {
	if [ -z "$HOLDER" ] || ! [ -e "/proc/$HOLDER/fd/0" ]; then
		qemu-io -f "${FMT:-qcow2}" -c "sleep 600000" "$1" </dev/null >/dev/null 2>&1 &
		HOLDER=$!
		PROCESSES+=("$HOLDER")
	fi
	has_locked "$HOLDER"
}

# hold IMAGE: a qemu-io has it open for writing, $HOLDER.
hold() {
	HOLDER=
	until_true 20 holds_now "$1"
}

let_go() {
	kill "$HOLDER"
	wait "$HOLDER" 2>/dev/null || :
}

# serve IMAGE SOCKET: a storage daemon has it open for writing, and exports it.
serve() {
	qemu-storage-daemon --blockdev "driver=file,filename=$1,node-name=file" \
		--blockdev driver=qcow2,file=file,node-name=disk \
		--nbd-server "addr.type=unix,addr.path=$2" \
		--export type=nbd,id=e,node-name=disk,name=disk,writable=on &
	HOLDER=$!
	PROCESSES+=("$HOLDER")
	until_true 20 has_locked "$HOLDER"
	until_true 20 qemu-img info -f raw "nbd+unix:///disk?socket=$2"
}
