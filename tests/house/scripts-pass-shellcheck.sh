#!/bin/bash
# SPDX-License-Identifier: MIT
# There is nothing that shellcheck has to say on our scripts.
set -u
command -v shellcheck >/dev/null || { echo "needs shellcheck"; exit 77; }

cd "$TEST_TOP" || exit 1
mapfile -d '' scripts < <(find tests .ci -type f ! -path 'tests/fuzz/corpus/*' \
	-exec sh -c 'head -n 1 "$1" | grep -q "^#!.*sh$" || case $1 in *.sh) ;; *) false ;; esac' sh {} \; -print0)
[ "${#scripts[@]}" -gt 10 ] || { echo "# not so: scripts are found"; exit 1; }
shellcheck -x -P tests/e2e -S warning "${scripts[@]}"
