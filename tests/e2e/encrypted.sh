# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# encrypted.sh - the library of the tests of encrypted images.  The passphrase is in the file
# $TEST_TMP/key.
KEY=$TEST_TMP/key
printf %s 'open, please' >"$KEY"
LUKS=encrypt.format=luks,encrypt.iter-time=10
export KEY LUKS

# encrypted FILE FORMAT OPTIONS SIZE [COMMAND...]: QEMU measures its processor for LUKS, and gives
# up if that is busy.
encrypted() {
	local file=$1 format=$2 options=$3 size=$4 tries=0
	shift 4
	until qemu-img create -q --object "secret,id=s,file=$KEY" -f "$format" \
		-o "$options,encrypt.key-secret=s" "$file" "$size"; do
		[ $((tries += 1)) -lt 20 ] || fail "qemu-img makes $file"
	done
	[ $# = 0 ] || encrypted_io "$file" "$format" "$@"
}

# encrypted_io FILE FORMAT COMMAND...
encrypted_io() {
	local file=$1 format=$2 c args=()
	shift 2
	for c; do args+=(-c "$c"); done
	qemu-io --object "secret,id=s,file=$KEY" "${args[@]}" --image-opts \
		"driver=$format,file.filename=$file,encrypt.key-secret=s" >qio.out 2>&1 || {
		cat qio.out
		fail "qemu-io ${args[*]} $file"
	}
}

# encrypted_raw FILE FORMAT TO: what QEMU reads from it.
encrypted_raw() {
	qemu-img convert --object "secret,id=s,file=$KEY" -O raw --image-opts \
		"driver=$2,file.filename=$1,encrypt.key-secret=s" "$3"
}

# encrypted_sound FILE
encrypted_sound() {
	qemu-img check -q --object "secret,id=s,file=$KEY" --image-opts \
		"driver=qcow2,file.filename=$1,encrypt.key-secret=s" || fail "$1 is sound"
}
