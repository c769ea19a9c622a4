#!/bin/bash
# SPDX-License-Identifier: MIT
# Once the mount stands the daemon cannot open other files, start programs, make sockets or
# names, or mount: a library that is put into it tries, in a worker thread. Without the
# sandbox it can.
# sanitize: none
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires cc --version

cat >try.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int exec_true(void)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -1;
	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid && !status ? 0 : -1;
}

static void say(const char *what, long r)
{
	dprintf(2, "try: %s: %s\n", what, r < 0 ? strerrorname_np(errno) : "ok");
}

static void try(void)
{
	char *const argv[] = { "true", NULL };
	const char *secret = getenv("SECRET"), *image = getenv("IMAGE");

	say("passwd", open("/etc/passwd", O_RDONLY));
	say("secret", open(secret, O_RDONLY));
	say("image", open(image, O_RDONLY));
	say("write", open(image, O_RDWR));
	say("proc", open("/proc/self/mem", O_RDWR));
	say("child", exec_true());
	say("socket", socket(AF_UNIX, SOCK_STREAM, 0));
	say("inet", socket(AF_INET, SOCK_STREAM, 0));
	say("create", open("made", O_CREAT | O_WRONLY, 0600));
	say("mkdir", mkdir("dir", 0700));
	say("rename", rename(secret, secret));
	say("chmod", chmod(image, 0600));
	say("unlink", unlink("victim"));
	say("mount", mount("none", "nowhere", "tmpfs", 0, NULL));
	say("kill", kill(getppid(), 0));
	say("code", (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == -1 ? -1 : 0);
	if (getenv("EXEC_TOO"))
		say("exec", execv("/bin/true", argv));
	dprintf(2, "try: over\n");
}

ssize_t pread64(int fd, void *buf, size_t n, off_t off)
{
	static ssize_t (*real)(int, void *, size_t, off_t);
	static int tried;

	if (!real)
		real = (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread64");
	if (getpid() != gettid() && !__sync_lock_test_and_set(&tried, 1))
		try();
	return real(fd, buf, n, off);
}
END
cc -shared -fPIC -D_FILE_OFFSET_BITS=64 -o try.so try.c -ldl || skip "needs a C compiler"
mkdir src
image src/disk.qcow2 1M "write -P 1 0 1M"
echo secret >secret
export SECRET=$PWD/secret IMAGE=$PWD/src/disk.qcow2

attempt() { # attempt LOG OPTION...: a worker tries all
	local log=$1
	shift
	touch victim
	rm -rf made dir
	LD_PRELOAD=$PWD/try.so "$QCOWFS" -f "$@" src mnt 2>"$log" &
	DAEMON=$!
	PROCESSES+=("$DAEMON")
	MOUNTS+=("$PWD/mnt")
	until_true 20 is_mounted mnt
	dd if=mnt/disk.raw of=/dev/null bs=4k count=1 status=none
	until_true 20 grep -q '^try: over' "$log"
	sed 's/^/# /' "$log"
	unmount mnt
	wait "$DAEMON" || fail "status $? is 0"
}
says() { # says LOG WHAT RESULT
	grep -Eqx "try: $2: ($3)" "$1" || fail "$1: $2: $3"
}
denied() { # denied LOG WHAT...
	local log=$1 what
	shift
	for what; do says "$log" "$what" 'EACCES|EPERM|ENOSYS'; done
}
others=(child socket inet create mkdir rename chmod unlink kill code proc)

mkdir mnt
attempt off -o sandbox=off
for what in passwd secret image write child socket inet create mkdir rename chmod unlink kill code; do
	says off $what ok
done
EXEC_TOO=1 attempt on
denied on passwd secret exec mount "${others[@]}"
says on image ok
says on write ok
attempt ro -o ro
denied ro passwd secret write mount "${others[@]}"
says ro image ok
attempt any -o ro,backing=any
denied any write mount "${others[@]}"
says any passwd ok # as that option says
