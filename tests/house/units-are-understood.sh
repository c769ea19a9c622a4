#!/bin/bash
# SPDX-License-Identifier: MIT
# systemd understands the unit that is installed, and the units and lines of fstab that the manual shows.
set -u
TEST_TOP=${TEST_TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "${TEST_TMP:-$(mktemp -d)}" || exit 1
PATH=$PATH:/usr/lib/systemd/system-generators:/lib/systemd/system-generators
command -v systemd-analyze >/dev/null || { echo "needs systemd-analyze"; exit 77; }

so() { # so WHAT COMMAND...: must succeed
	local what=$1
	shift
	"$@" || { echo "# not so: $what"; exit 1; }
}

# A literal display that begins with "# PATH" is that file.
mkdir units out
awk '/^\.Bd -literal/ { on = 1; next } /^\.Ed/ { on = 0; file = "" }
	on == 1 && /^# \/etc\/systemd\/system\// { n = split($2, part, "/"); file = "units/" part[n] }
	{ on = on ? 2 : 0 } file { print > file }' "$TEST_TOP/man/qcowfs.1"
so "there are two" test "$(find units -type f | wc -l)" = 2
sed "s|^ExecStart=@bindir@/qcowfs|ExecStart=$QCOWFS|; /^Documentation=/d" \
	"$TEST_TOP/fuse/systemd/qcowfs@.service.in" >units/qcowfs@srv-images.service
for unit in mnt-raw.mount mnt-raw.automount qcowfs@srv-images.service; do
	SYSTEMD_LOG_LEVEL=warning SYSTEMD_UNIT_PATH=$PWD/units: \
		systemd-analyze verify --man=no "units/$unit" >said 2>&1
	# It also speaks of units that are not ours.
	grep -E "qcowfs|mnt-raw" said && { echo "# not so: $unit is right"; exit 1; }
done

grep '^/srv.* fuse\.qcowfs ' "$TEST_TOP/man/qcowfs.1" >fstab
so "there are two lines" test "$(wc -l <fstab)" = 2
command -v systemd-fstab-generator >/dev/null || { echo "needs systemd-fstab-generator"; exit 77; }
SYSTEMD_FSTAB=$PWD/fstab systemd-fstab-generator "$PWD/out" "$PWD/out" "$PWD/out" 2>said
so "Type=fuse.qcowfs" grep -q '^Type=fuse.qcowfs$' out/mnt-raw.mount
so "What=/srv/images" grep -q '^What=/srv/images$' out/mnt-raw.mount
so "nofail: not required" test ! -e out/local-fs.target.requires/mnt-raw.mount
so "it is wanted at boot" test -e out/local-fs.target.wants/mnt-raw.mount
so "an automount" grep -q '^TimeoutIdleSec=1min$' out/mnt-vm.automount
