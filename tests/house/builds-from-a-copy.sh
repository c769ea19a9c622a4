#!/bin/bash
# SPDX-License-Identifier: MIT
# A fresh copy of the sources builds without a warning, also without the optional libraries, and
# also the tests without fail points. The build writes nothing outside of its folder. The builds of
# tests/run optimize, and those of tests/matrix for a release.
set -eu
TEST_TOP=${TEST_TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
WERROR=${TEST_WERROR:-true}
cd "${TEST_TMP:-$(mktemp -d)}" || exit 1

mkdir copy
tar -C "$TEST_TOP" --exclude='./build*' --exclude=./.git --exclude=__pycache__ -cf - . | tar -C copy -xf -
cd copy
all_files() { find . -path './build*' -prune -o -print | sort; }
all_files >../before
build() { # build NAME OPTION...
	local name=$1
	shift
	{ meson setup "build-$name" "-Dwerror=$WERROR" -Doptimization=0 -Ddebug=false "$@" && ninja -C "build-$name"; } >../out 2>&1 || {
		cat ../out
		exit 1
	}
	if [ "$WERROR" = true ] && grep -E 'warning:|WARNING:' ../out; then
		echo "# not so: build-$name has no warnings"
		exit 1
	fi
}
CC=gcc build small -Dzstd=disabled -Dlibdeflate=disabled
if command -v clang >/dev/null; then CC=clang build clang -Dtests=true; fi
all_files >../after
diff ../before ../after || {
	echo "# not so: the builds write into their folders only"
	exit 1
}
build-small/qcowfs --version
