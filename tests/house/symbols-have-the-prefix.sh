#!/bin/bash
# SPDX-License-Identifier: MIT
# All global symbols of the library begin with qc_.
set -u
TEST_TOP=${TEST_TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "${TEST_TMP:-$(mktemp -d)}" || exit 1

nm -A -g --defined-only "$TEST_BUILD/core/libqcow.a" >symbols || exit 1
[ -s symbols ] || { echo "# not so: it has symbols"; exit 1; }
if awk 'NF && $NF !~ /^qc_/ && $NF !~ /^__(asan|odr_asan|tsan|ubsan|sanitizer)/' symbols | grep .; then
	echo "# not so: all begin with qc_"
	exit 1
fi
