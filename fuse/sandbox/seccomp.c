/* SPDX-License-Identifier: MIT */
/*
 * seccomp.c - a filter that allows the system calls of a serving daemon; all others fail.
 *
 * They fail with ENOSYS, as on an older kernel.  Libraries have a fallback for that, so a
 * library that is newer than this list keeps working.  The process is not killed: a call that
 * is missing in this list must not lose data that was written to other images.  Refusals are
 * not logged, since each new thread causes some.
 *
 * The filter excludes other programs (execve, fork), new sockets, mounts, signals to other
 * processes, new executable memory, and, without -o create, new names or modes of files.  It
 * excludes clone3, whose arguments a filter cannot see; libc then creates threads with clone.
 */
#include "sandbox/seccomp.h"

#include <errno.h>
#include <stdio.h>

#ifdef HAVE_SECCOMP
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char *const always[] = {
	/* image files, directories, /dev/fuse, the log */
	"open", "openat", "openat2", "close", "close_range", "read", "write", "readv", "writev",
	"pread64", "pwrite64", "pwritev2", "lseek", "_llseek", "fsync", "fdatasync", "ftruncate",
	"ftruncate64", "fallocate", "fadvise64", "fadvise64_64", "arm_fadvise64_64",
	"poll", "ppoll", "ppoll_time64", "dup2", "dup3",
	"stat", "stat64", "lstat", "lstat64", "fstat", "fstat64", "newfstatat", "fstatat64",
	"statx", "statfs", "statfs64", "fstatfs", "fstatfs64", "getdents64", "readlink",
	"readlinkat", "access", "faccessat", "faccessat2", "getcwd",
	/* memory */
	"brk", "munmap", "mremap", "madvise", "mlock", "mlock2", "munlock", "memfd_create",
	/* threads */
	"futex", "futex_time64", "futex_waitv", "set_robust_list", "rseq", "exit", "exit_group",
	"sched_yield", "sched_getaffinity", "getcpu", "membarrier", "gettid", "getpid",
	/* signals */
	"rt_sigaction", "sigaction", "rt_sigprocmask", "sigprocmask", "rt_sigreturn", "sigreturn",
	"rt_sigtimedwait", "rt_sigtimedwait_time64", "sigaltstack", "restart_syscall",
	"wait4", "waitid", "waitpid",
	/* time, and properties of the system */
	"clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64", "gettimeofday",
	"time", "nanosleep", "clock_nanosleep", "clock_nanosleep_time64", "getrandom", "sysinfo",
	"uname", "getuid", "geteuid", "getgid", "getegid", "getuid32", "geteuid32", "getgid32",
	"getegid32", "getrlimit", "ugetrlimit",
};

/* Operations that are submitted through io_uring are no system calls: the filter does not see
 * them. */
static const char *const for_io_uring[] = {
	"io_uring_setup", "io_uring_enter", "io_uring_register",
	/* to end its threads; to choose their processor and memory */
	"eventfd2", "sched_setaffinity", "mbind",
};

/* Landlock says where. */
static const char *const for_create[] = {
	"linkat", "unlinkat", "mkdirat", "renameat", "renameat2", "fchown", "fchown32", "fchownat",
	"fchmodat",
};

/* Calls with a condition on one argument: (argument & mask) == value. */
static const struct condition {
	const char *name;
	unsigned int arg;
	uint64_t mask, value;
} conditional[] = {
	{ "mmap", 2, PROT_EXEC, 0 },
	{ "mmap2", 2, PROT_EXEC, 0 },
	{ "mprotect", 2, PROT_EXEC, 0 },
	{ "clone", 0, CLONE_THREAD, CLONE_THREAD },
	{ "ioctl", 1, UINT32_MAX, FUSE_DEV_IOC_CLONE },
	{ "ioctl", 1, UINT32_MAX, TCGETS }, /* isatty(3) */
	{ "prctl", 0, UINT32_MAX, PR_SET_NAME },
	{ "prlimit64", 2, UINT64_MAX, 0 }, /* without a new limit: a query */
	{ "sendto", 4, UINT64_MAX, 0 },	   /* without an address: the connected peer */
	{ "fcntl", 1, UINT32_MAX, F_DUPFD_CLOEXEC },
	{ "fcntl", 1, UINT32_MAX, F_GETFD },
	{ "fcntl", 1, UINT32_MAX, F_SETFD },
	{ "fcntl", 1, UINT32_MAX, F_GETFL },
	{ "fcntl", 1, UINT32_MAX, F_SETFL },
	{ "fcntl", 1, UINT32_MAX, F_OFD_GETLK },
	{ "fcntl", 1, UINT32_MAX, F_OFD_SETLK },
	{ "fcntl64", 1, UINT32_MAX, F_DUPFD_CLOEXEC },
	{ "fcntl64", 1, UINT32_MAX, F_GETFD },
	{ "fcntl64", 1, UINT32_MAX, F_SETFD },
	{ "fcntl64", 1, UINT32_MAX, F_GETFL },
	{ "fcntl64", 1, UINT32_MAX, F_SETFL },
	{ "fcntl64", 1, UINT32_MAX, F_OFD_GETLK },
	{ "fcntl64", 1, UINT32_MAX, F_OFD_SETLK },
};

/* Allows a call.  Succeeds without a rule for a call that this architecture or this libseccomp
 * does not have. */
static int allow_call(scmp_filter_ctx filter, const char *name, unsigned int n,
		 const struct scmp_arg_cmp *cmp)
{
	int nr = seccomp_syscall_resolve_name(name);

	return nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, nr, n, cmp);
}

/* Returns the number of the argument.  On s390 the flags of clone are the second one. */
static unsigned int argument_number(const struct condition *c)
{
#ifdef __s390__
	if (c->mask == CLONE_THREAD)
		return 1;
#endif
	return c->arg;
}

static int add_call_rules(scmp_filter_ctx filter, bool io_uring, bool create)
{
	struct scmp_arg_cmp self = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(always) / sizeof(always[0]); i++)
		r = allow_call(filter, always[i], 0, NULL);
	for (size_t i = 0; !r && io_uring && i < sizeof(for_io_uring) / sizeof(for_io_uring[0]); i++)
		r = allow_call(filter, for_io_uring[i], 0, NULL);
	for (size_t i = 0; !r && create && i < sizeof(for_create) / sizeof(for_create[0]); i++)
		r = allow_call(filter, for_create[i], 0, NULL);
	for (size_t i = 0; !r && i < sizeof(conditional) / sizeof(conditional[0]); i++) {
		const struct condition *c = &conditional[i];
		struct scmp_arg_cmp cmp = SCMP_CMP(argument_number(c), SCMP_CMP_MASKED_EQ, c->mask, c->value);

		r = allow_call(filter, c->name, 1, &cmp);
	}
	if (!r)
		r = allow_call(filter, "kill", 1, &self);
	return r ? r : allow_call(filter, "tgkill", 1, &self);
}

/* Returns true if libseccomp will have the memory that it needs.  Release 2.5 does not check
 * each allocation, and ends in a segmentation fault without that. */
static bool has_memory_for_filter(void)
{
	enum { FILTER_BYTES = 2 << 20 };
	void *p = malloc(FILTER_BYTES);
	bool has = p;

	free(p);
	return has;
}

int seccomp_restrict(bool io_uring, bool create)
{
	scmp_filter_ctx filter = has_memory_for_filter() ? seccomp_init(SCMP_ACT_ERRNO(ENOSYS)) : NULL;
	int r;

	if (!filter)
		return -ENOMEM;
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1); /* no foreign code runs in this process */
	seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	r = add_call_rules(filter, io_uring, create);
	if (!r)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

void seccomp_library(char *out, size_t n)
{
	const struct scmp_version *v = seccomp_version();

	snprintf(out, n, "%u.%u.%u", v->major, v->minor, v->micro);
}
#else
int seccomp_restrict(bool io_uring, bool create)
{
	(void)io_uring, (void)create;
	return -ENOSYS;
}

void seccomp_library(char *out, size_t n)
{
	snprintf(out, n, "none");
}
#endif
