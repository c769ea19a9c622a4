#!/bin/bash
# SPDX-License-Identifier: MIT
# The shells complete each option of --help, and the words that it takes.
set -u
TEST_TOP=${TEST_TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "${TEST_TMP:-$(mktemp -d)}" || exit 1
fail() { echo "# not so: $*"; exit 1; }

# ---- bash

# shellcheck source=../../fuse/completion/qcowfs.bash
. "$TEST_TOP/fuse/completion/qcowfs.bash"
compopt() { echo "compopt $*" >>compopt; } # there is no completion going on
PATH=$(dirname "$QCOWFS"):$PATH
says() { # says LINE WORD...: its completions, sorted
	local line=$1 cut
	shift
	COMP_LINE=$line COMP_POINT=${#line} COMP_WORDBREAKS=$'"\'@><=;|&(: '
	COMPREPLY=()
	_qcowfs qcowfs
	cut=$(printf '%s\n' "${COMPREPLY[@]}" | sort | xargs)
	[ "$cut" = "$(printf '%s\n' "$@" | sort | xargs)" ] || fail "'$line' gives $*: it gives $cut"
}
mapfile -t all < <("$QCOWFS" --help | sed -n 's/^    -o \([a-z][a-z_-]*=\{0,1\}\).*/\1/p')
[ ${#all[@]} -gt 20 ] || fail "there are options"
says "qcowfs -o " "${all[@]}"
says "qcowfs -f vm.qcow2 -o " "${all[@]}"
says "qcowfs -fo " "${all[@]}"
says "qcowfs -o ro,nothing=1," "${all[@]/#/1,}" # behind the last =
says "qcowfs -o ro,allow_o" ro,allow_other
says "qcowfs -orw,allow_o" -orw,allow_other
says "qcowfs -o back" backing= backing-map=
while IFS='=' read -r name words; do
	IFS='|' read -ra each <<<"$words"
	says "qcowfs -o ro,$name=" "${each[@]}"
	says "qcowfs -o $name=${each[1]:0:2}" "${each[1]}"
done < <("$QCOWFS" --help | sed -n 's/^    -o \([a-z][a-z_-]*=[a-z|]*|[a-z|]*\) .*/\1/p')
touch file-of-mine

# Commands, their options, and what those take.
mapfile -t verbs < <("$QCOWFS" --help | sed -n 's/^    qcowfs \([a-z]*\) .*/\1/p')
[ ${#verbs[@]} -gt 0 ] || fail "there are commands"
says "qcowfs " "${verbs[@]}"
says "qcowfs inf" info
for verb in "${verbs[@]}"; do
	mapfile -t all < <("$QCOWFS" "$verb" --help | sed -n 's/^    \(-[^ ]*\).*/\1/p; s/^    -., \(--[^ ]*\).*/\1/p' |
		sed 's/,$//; s/=.*/=/')
	says "qcowfs $verb -" "${all[@]}"
done
says "qcowfs info --output=" human json
says "qcowfs info --json --key-file=file-of" file-of-mine
says "qcowfs -o pid-file=file-of" file-of-mine
says "qcowfs --v" --version
says "qcowfs -"  -h --help -V --version -v -f -d -s -r -o
: >compopt
says "qcowfs file" ""
grep -q 'compopt -o default' compopt || fail "operands are names of files"

# ---- zsh: the arguments of its own functions

if ! command -v zsh >/dev/null; then exit 0; fi
cat >zsh.test <<'END'
_arguments() { state=options; return 1 }
_call_program() { shift; "$@" }
_values() { print -rl -- "$@[4,-1]" }
words=($1)
source $2 || exit 1
END
zsh -f zsh.test "$QCOWFS" "$TEST_TOP/fuse/completion/_qcowfs" >given || fail "zsh: it runs"
sed 's/\[.*//' given | sort -u >names
"$QCOWFS" --help | sed -n 's/^    -o \([a-z][a-z_-]*\).*/\1/p' | sort -u | diff - names || fail "zsh: all options"
grep -q '^backing\[.*\]:samedir|any|none:(samedir any none)$' given || { cat given; fail "zsh: words"; }
cat >zsh.test <<'END'
_arguments() { print -rl -- "$@[2,-1]" }
_call_program() { shift; "$@" }
words=($1 info) CURRENT=3
source $2
END
zsh -f zsh.test "$QCOWFS" "$TEST_TOP/fuse/completion/_qcowfs" >given-command ||
	fail "zsh: it runs with a command"
for line in '^--output=\[.*\]:human|json:(human json)$' '^-U\[' '^--force-share\[' '^--key-file=\[.*:_files$'; do
	grep -q -e "$line" given-command || { cat given-command; fail "zsh: options of a command: $line"; }
done
grep -q '^pid-file\[.*:_files$' given || fail "zsh: files"
