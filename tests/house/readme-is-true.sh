#!/bin/bash
# SPDX-License-Identifier: MIT
# The functions, files and options that README.md, core/README.md and fuse/README.md name are there.
set -u
TEST_TOP=${TEST_TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$TEST_TOP" || exit 1
status=0
lacks() { echo "# not so: README.md: $*"; status=1; }

# FILE: FUNCTION, in the diagrams.
named=0
while IFS=': ' read -r file function; do
	named=$((named + 1))
	grep -Eqs "^[a-z].*\b$function\(" "$file" "${file%.c}.h" || lacks "$function is in $file"
done < <(grep -o '\(core\|fuse\)/[a-z_/]*\.c: [a-z0-9_]*' README.md)
[ $named -gt 12 ] || lacks "the diagrams name functions"

# Links and paths.
while read -r file; do
	[ -e "$file" ] || lacks "there is $file"
done < <(grep -o '](\([^)]*\))' README.md | sed 's/](//; s/)//' | grep -v '^http'
	grep -o '`\(core\|fuse\|man\|tests\)/[a-z.0-9/_-]*`' README.md | tr -d '`')

# Paths of the other pages.
for page in .github/*.md; do
	while read -r file; do
		[ -e "$file" ] || { echo "# not so: $page: there is $file"; status=1; }
	done < <(grep -o '`\(\(core\|fuse\|man\|tests\)/[a-z.0-9A-Z/_-]*\|[a-zA-Z.]*\.\(md\|build\)\)`' "$page" | tr -d '`')
done

# Functions, files and constants of core/README.md.
lacks_core() { echo "# not so: core/README.md: $*"; status=1; }
code=$(cat core/*/*.[ch])
named=0
while read -r name; do
	named=$((named + 1))
	grep -qw -- "$name" <<<"$code" || lacks_core "$name is in core/"
done < <(grep -o '`\(qc_\|QC_\|op_\)[A-Za-z0-9_]*' core/README.md | tr -d '`' | sort -u)
[ $named -gt 12 ] || lacks_core "it names functions"
while read -r file; do
	[ -e "core/$file" ] || lacks_core "there is core/$file"
done < <(grep -o '`[a-z_]*/[a-z0-9_]*\(\.[ch]\)\?`' core/README.md | tr -d '`' | grep -v '^fuse/')
while read -r file; do
	[ -e "fuse/$file" ] || [ -e "$file" ] || { echo "# not so: fuse/README.md: there is $file"; status=1; }
done < <(grep -o '`[a-z]*/[a-z0-9_/.-]*`' fuse/README.md | tr -d '`')
for folder in core/*/; do
	grep -q "^| \`${folder#core/}\`" core/README.md || lacks_core "the table has $folder"
done
for folder in fuse/*/; do
	[ "$folder" = fuse/completion/ ] || grep -q "\`$folder\`" README.md || lacks "the layout has $folder"
done

# Options of the program, and of meson.
known=$("$QCOWFS" --help | sed -n 's/^    -o \([a-z][a-z_-]*\).*/\1/p')
used=0
while read -r option; do
	used=$((used + 1))
	grep -qx "${option%%=*}" <<<"$known" || lacks "-o $option is an option"
done < <(grep -o '[`( ]-o [a-z][^ `;]*' README.md | sed 's/.*-o //' | tr , '\n' | grep -Ev "^(fakeroot|noload)$")
[ $used -gt 10 ] || lacks "options are used"
while read -r option; do
	grep -Eq "^option\('$option'" meson_options.txt || lacks "meson has the option $option"
done < <(grep -o -- '-D[a-z]*=' README.md | tr -d 'D=-')
while read -r option; do
	grep -q -- "-D$option=" README.md || lacks "it has the option $option of meson"
done < <(sed -n "s/^option('\([a-z]*\)'.*/\1/p" meson_options.txt)
exit $status
