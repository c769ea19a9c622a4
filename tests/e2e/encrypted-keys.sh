#!/bin/bash
# SPDX-License-Identifier: MIT
# sanitize: none
# The sources of passphrases, the passphrase of each image, and the messages if one does not fit.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
. "$TEST_LIB/encrypted.sh"

mkdir src mnt keys
noise ref.raw 1048576
encrypted luks.qcow2 qcow2 "$LUKS" 1M
encrypted aes.qcow qcow encrypt.format=aes 1M
for to in 'qcow2 luks.qcow2' 'qcow aes.qcow'; do
	qemu-img convert -n -f raw --object "secret,id=s,file=$KEY" --target-image-opts ref.raw \
		"driver=${to% *},file.filename=${to#* },encrypt.key-secret=s"
done
cp luks.qcow2 aes.qcow src
shown() { # shown [OPTION...]: it mounts, and has its bytes
	mount_fs "$@" luks.qcow2 mnt
	same mnt/luks.raw ref.raw
	unmount mnt
}

# ---- one image: a file, a descriptor, a pipe -----------------------------------

shown -o key-file=key
shown -o "key-file=$KEY"
shown -o key-fd=5 5<"$KEY"
shown -o key-fd=0 <"$KEY"
# shellcheck disable=SC2002 # as users do
cat "$KEY" | shown -o key-fd=0
cat "$KEY" | shown -o key-file=/dev/stdin
shown -o key-file=<(cat "$KEY")
mkfifo pipe
cat "$KEY" >pipe &
shown -o key-file=pipe
cp "$KEY" keys/luks.qcow2.key
shown -o key-dir=keys

# Read once, it opens the image again and again; also from the background, in another folder.
mount_fs -o key-fd=5 luks.qcow2 mnt 5<"$KEY"
for _ in 1 2 3; do same mnt/luks.raw ref.raw; done
unmount mnt

# ---- that do not fit -------------------------------------------------------------

echo wrong >wrong
printf %s wrong >wrong-indeed
echo "$(cat "$KEY")" >with-newline
: >empty
head -c 65536 /dev/zero >longest
head -c 65537 /dev/zero >longer
refuses 4 'luks.qcow2: encrypted \(LUKS\), and the key does not fit$' -o key-file=wrong-indeed luks.qcow2 mnt
refuses 4 'ends with a newline, which counts' -o key-file=with-newline luks.qcow2 mnt
refuses 4 'ends with a newline' -o key-fd=5 luks.qcow2 mnt 5<wrong
refuses 4 'does not fit$' -o key-file=empty luks.qcow2 mnt
refuses 4 'does not fit$' -o key-file=longest luks.qcow2 mnt
refuses 4 'key.*cannot be read: File too large|larger than 64 KiB' -o key-file=longer luks.qcow2 mnt
refuses 4 'larger than 64 KiB' -o key-fd=5 luks.qcow2 mnt 5<longer
refuses 4 'key-file .*/nothing: No such file' -o key-file=nothing luks.qcow2 mnt
refuses 4 'key-dir .*/nothing: No such file' -o key-dir=nothing luks.qcow2 mnt
refuses 4 'key-dir .*/key: Not a directory' -o key-dir=key luks.qcow2 mnt
refuses 4 'key-file .*/keys: Is a directory' -o key-file=keys luks.qcow2 mnt
refuses 4 'no key for it' -o key-dir=src luks.qcow2 mnt
refuses 1 'key-fd' -o key-fd=77 luks.qcow2 mnt
refuses 1 'key-fd' -o key-fd=-1 luks.qcow2 mnt
refuses 1 'key-fd' -o key-fd=x luks.qcow2 mnt
refuses 1 'not with key-file' -o key-fd=0,key-file=key luks.qcow2 mnt <"$KEY"

# ---- a folder ----------------------------------------------------------------------

mkdir src/lab
cp luks.qcow2 src/lab/same.qcow2
cp luks.qcow2 src/same.qcow2
rm keys/*
mount_fg log -o key-dir=keys src mnt
for name in luks aes same lab/same; do
	[ "$(stat -c %s mnt/$name.raw)" = 1048576 ] || fail "with a source of keys $name has its size"
	fails_with 'Permission denied' cat mnt/$name.raw
done
# It is looked for each time, and the mirrored folders go first.
cp "$KEY" keys/luks.qcow2.key
same mnt/luks.raw ref.raw
cp wrong-indeed keys/luks.qcow2.key
fails_with 'Permission denied' cat mnt/luks.raw
cp "$KEY" keys/luks.qcow2.key
same mnt/luks.raw ref.raw
rm keys/luks.qcow2.key
fails_with 'Permission denied' cat mnt/luks.raw
cp "$KEY" keys/same.qcow2.key
same mnt/same.raw ref.raw
same mnt/lab/same.raw ref.raw
mkdir keys/lab
cp wrong-indeed keys/lab/same.qcow2.key
same mnt/same.raw ref.raw
fails_with 'Permission denied' cat mnt/lab/same.raw
cp "$KEY" keys/aes.qcow.key
same mnt/aes.raw ref.raw
grep -q 'luks.qcow2: encrypted (LUKS), and the key does not fit' log || fail "the log says so"
if grep -F "$(cat "$KEY")" log; then fail "the log has no passphrase"; fi
unmount mnt

# The key file is for images without a fitting passphrase in the folder.
mount_fs -o key-dir=keys,key-file=key src mnt
same mnt/luks.raw ref.raw
same mnt/lab/same.raw ref.raw
unmount mnt
mount_fs -o key-fd=5 src mnt 5<"$KEY"
for name in luks aes same lab/same; do same mnt/$name.raw ref.raw; done
same mnt/luks.raw ref.raw
unmount mnt

# The mount hides the keys from others, not from the daemon.
mkdir over
cp luks.qcow2 key over
cp -r keys over/keys
cp "$KEY" over/keys/luks.qcow2.key
mount_fs -o key-file=over/key over over
same over/luks.raw ref.raw
unmount over
mount_fs -o key-dir=over/keys over over
same over/luks.raw ref.raw
unmount over

# ---- a chain, each with a key of its own ----------------------------------------------

mkdir chain
cd chain
layer() { # layer FILE FORMAT OPTIONS KEY BACKING BACKING-FORMAT OFFSET BYTE
	local tries=0
	until qemu-img create -q -u --object "secret,id=s,data=$4" -f "$2" -b "$5" -F "$6" -o "$3" "$1" 1M; do
		[ $((tries += 1)) -lt 20 ] || fail "qemu-img makes $1"
	done
}
image base.qcow2 1M 'write -P 1 0 1M'
layer one.qcow2 qcow2 "$LUKS,encrypt.key-secret=s" 'key one' base.qcow2 qcow2
layer two.qcow qcow encrypt.format=aes,encrypt.key-secret=s 'key two' one.qcow2 qcow2
layer three.qcow2 qcow2 "$LUKS,encrypt.key-secret=s,cluster_size=4k" 'key three' two.qcow qcow
overlay top.qcow2 base.qcow2 qcow2
qemu-img rebase -u -f qcow2 -b three.qcow2 -F qcow2 top.qcow2
mkdir keys
printf 'key one' >keys/one.qcow2.key
printf 'key two' >keys/two.qcow.key
printf 'key three' >keys/three.qcow2.key
cd ..
put() { # put FILE OFFSET BYTE COUNT: through us
	"$QCOWFS" -o rw,backing=any,key-dir=chain/keys "chain/$1" mnt || fail "chain/$1 mounts"
	MOUNTS+=("$(realpath mnt)")
	head -c "$4" /dev/zero | tr '\0' "\\$3" | dd of=mnt/"${1%.*}".raw bs=1 seek="$2" conv=notrunc status=none
	unmount mnt
}
head -c 1048576 /dev/zero | tr '\0' '\1' >model
for step in 'one.qcow2 100000 2 5000' 'two.qcow 102000 3 5000' 'three.qcow2 104001 4 5000' 'top.qcow2 106000 5 1'; do
	read -r file off byte count <<<"$step"
	put "$file" "$off" "$byte" "$count"
	head -c "$count" /dev/zero | tr '\0' "\\$byte" | dd of=model bs=1 seek="$off" conv=notrunc status=none
	mount_fs -o backing=any,key-dir=chain/keys "chain/$file" mnt
	same mnt/"${file%.*}".raw model
	unmount mnt
done
# QEMU is told the keys by where they are in the chain.
qemu-img convert --object secret,id=s3,data='key three' --object secret,id=s2,data='key two' \
	--object secret,id=s1,data='key one' -O raw --image-opts \
	driver=qcow2,file.filename=chain/top.qcow2,backing.encrypt.key-secret=s3,backing.backing.encrypt.key-secret=s2,backing.backing.backing.encrypt.key-secret=s1 \
	out.raw
same out.raw model
mv chain/keys/one.qcow2.key .
refuses 4 'backing file .*chain/one.qcow2: encrypted \(LUKS\), and there is no key' -o backing=any,key-dir=chain/keys chain/top.qcow2 mnt
mount_fs -o backing=any,key-dir=chain/keys,key-file=one.qcow2.key chain/top.qcow2 mnt
same mnt/top.raw model
unmount mnt
mount_fs -o backing=any,key-dir=chain/keys chain mnt
fails_with 'Permission denied' cat mnt/top.raw
same mnt/base.raw <(head -c 1048576 /dev/zero | tr '\0' '\1')
unmount mnt
