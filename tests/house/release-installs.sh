#!/bin/bash
# SPDX-License-Identifier: MIT
# "meson dist" makes an archive that builds by itself, and "meson install" puts each file where
# distributions want it; the version stands in one place.
set -eu
TEST_TOP=${TEST_TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "${TEST_TMP:-$(mktemp -d)}" || exit 1
fail() { echo "# not so: $*"; exit 1; }
tmp=$PWD
quietly() { "$@" >"$tmp/out" 2>&1 || { cat "$tmp/out"; fail "$*"; }; }

if ! git -C "$TEST_TOP" rev-parse HEAD >/dev/null 2>&1; then echo "needs a git repository"; exit 77; fi

# With files that are not committed yet.
quietly git clone -q --no-hardlinks "$TEST_TOP" clone
git -C "$TEST_TOP" ls-files -z --cached --others --exclude-standard |
	(cd "$TEST_TOP" && while IFS= read -r -d '' f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done) |
	tar -C "$TEST_TOP" --null -T - -cf - | tar -C clone -xf -
cd clone
quietly git add -A
quietly git -c user.name=t -c user.email=t@example.invalid commit -q --allow-empty -m now
quietly meson setup build
quietly meson dist -C build --no-tests --formats gztar
version=$(sed -n "s/^ *version: '\(.*\)',$/\1/p" meson.build)
archive=$PWD/build/meson-dist/qcowfs-$version.tar.gz
[ -e "$archive" ] || fail "$archive is there"
cd ..

tar -xzf "$archive"
cd "qcowfs-$version"
[ ! -e .git ] || fail "no repository in it"
for file in LICENSE README.md man/NEWS .github/SECURITY.md .github/CONTRIBUTING.md; do
	[ -s "$file" ] || fail "$file is in it"
done
[ "$(grep -m 1 '^qcowfs ' man/NEWS)" = "qcowfs $version" ] || fail "man/NEWS begins with version $version"
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "the version is MAJOR.MINOR.PATCH: $version"
quietly meson setup build --prefix=/usr -Doptimization=0 -Ddebug=false -Dwerror="${TEST_WERROR:-true}"
quietly meson install -C build --destdir "$PWD/root"
(cd root && find . -type f | LC_ALL=C sort) >installed
cat >want <<'END'
./usr/bin/qcowfs
./usr/lib/systemd/system/qcowfs@.service
./usr/share/bash-completion/completions/qcowfs
./usr/share/man/man1/qcowfs-commands.1
./usr/share/man/man1/qcowfs.1
./usr/share/man/man7/qcow-format.7
./usr/share/zsh/site-functions/_qcowfs
END
diff installed want || fail "installed (<) is what is wanted (>)"
(cd root && find . -type l -printf '%p %l\n' | LC_ALL=C sort) >links
cat >want <<'END'
./usr/sbin/mount.fuse.qcowfs /usr/bin/qcowfs
./usr/sbin/mount.qcowfs /usr/bin/qcowfs
./usr/share/man/man8/mount.fuse.qcowfs.8 ../man1/qcowfs.1
./usr/share/man/man8/mount.qcowfs.8 ../man1/qcowfs.1
END
diff links want || fail "installed links (<) are what is wanted (>)"
grep -q '^ExecStart=/usr/bin/qcowfs ' root/usr/lib/systemd/system/qcowfs@.service || fail "the unit starts what is installed"
[ "$(stat -c %a root/usr/bin/qcowfs)" = 755 ] || fail "it can be run"
[ "$(root/usr/bin/qcowfs --version | head -n 1)" = "qcowfs $version" ] || fail "it has the version"
! grep -rnF "$version" --include='*.[ch1-8]' --include=meson.build --include='*.md' . |
	grep -v '^./build/' | grep -v '^./meson.build:' || fail "the version stands in one place"
