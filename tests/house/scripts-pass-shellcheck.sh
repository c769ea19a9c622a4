#!/bin/bash
# SPDX-License-Identifier: MIT
# There is nothing that shellcheck has to say on our scripts.
set -u
command -v shellcheck >/dev/null || { echo "needs shellcheck"; exit 77; }

cd "$TEST_TOP" || exit 1
mapfile -d '' scripts < <(find tests .ci -type f ! -path 'tests/fuzz/corpus/*' \
	-exec sh -c 'head -n 1 "$1" | grep -q "^#!.*sh$" || case $1 in *.sh) ;; *) false ;; esac' sh {} \; -print0)
[ "${#scripts[@]}" -gt 10 ] || { echo "# not so: scripts are found"; exit 1; }

# To follow each library from each script takes a minute. Scripts see a short form of them, which
# assigns and uses the variables of all; the libraries are checked as they are.
lib=${TEST_TMP:-$(mktemp -d)}/lib
mkdir "$lib"
mapfile -t libraries < <(find tests/e2e -name '*.sh' ! -perm -u+x)
grep -ohE '\<[A-Z][A-Z_]+=\(?' "${libraries[@]}" | sort -u |
	sed -E 's/^(\w+)=\($/\1=(); : "${\1[@]}"/; t; s/^(\w+)=$/\1=; : "$\1"/' >"$lib/variables"
for library in "${libraries[@]}"; do
	{ printf '# shellcheck shell=bash\nset -eE\n'; cat "$lib/variables"; } >"$lib/${library##*/}"
done
shellcheck -x -P "$lib" -S warning "${scripts[@]}"
