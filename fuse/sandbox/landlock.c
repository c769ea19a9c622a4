/* SPDX-License-Identifier: MIT */
/*
 * landlock.c - numbers of the interface are written out here, since libc has no wrappers and the
 * kernel headers may be older than the kernel.
 *
 * The ruleset denies every access that the kernel's version of the interface knows, and then
 * each rule allows some below one path.
 */
#include "sandbox/landlock.h"

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum {
	WRITE_FILE = 1 << 1,
	READ_FILE = 1 << 2,
	READ_DIR = 1 << 3,
	REMOVE_DIR = 1 << 4,
	REMOVE_FILE = 1 << 5,
	MAKE_DIR = 1 << 7,
	MAKE_REG = 1 << 8,
	REFER = 1 << 13, /* from version 2; before, no file can go to another directory */
	TRUNCATE = 1 << 14,
	IOCTL_DEV = 1 << 15,
	FILE_ACCESS = WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV,
};

enum { GET_VERSION = 1, PATH_BENEATH = 1 };
enum { KNOWN = 7 };

struct ruleset {
	uint64_t files;	 /* accesses to files that are denied */
	uint64_t net;	 /* from version 4 */
	uint64_t scoped; /* from version 6 */
};

/* Has padding at its end, unlike the kernel's struct; the kernel reads only the first 12 bytes. */
struct path_beneath {
	uint64_t allowed;
	int32_t fd;
};

/* Returns a ruleset with every access that this version of the interface can deny. */
static struct ruleset ruleset_for_version(long version)
{
	static const unsigned int bits[KNOWN + 1] = { 0, 13, 14, 15, 15, 16, 16, 16 };
	long v = version < KNOWN ? version : KNOWN;

	return (struct ruleset){
		.files = (UINT64_C(1) << bits[v]) - 1,
		.net = v >= 4 ? 3 : 0,	  /* bind and connect, TCP */
		.scoped = v >= 6 ? 3 : 0, /* abstract sockets, and signals, of others */
	};
}

static uint64_t access_for_use(enum landlock_use use)
{
	switch (use) {
	case LANDLOCK_READ:
		return READ_FILE | READ_DIR;
	case LANDLOCK_WRITE:
		return READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE;
	case LANDLOCK_CREATE:
		return READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKE_REG | MAKE_DIR |
		       REMOVE_FILE | REMOVE_DIR | REFER;
	case LANDLOCK_DEVICE:
		return READ_FILE | WRITE_FILE | IOCTL_DEV;
	}
	return 0;
}

static int add_path_rule(int rules, const struct landlock_rule *p, uint64_t known)
{
	struct path_beneath b = { access_for_use(p->use) & known, p->fd };
	struct stat st;

	if (fstat(p->fd, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		b.allowed &= FILE_ACCESS;
	return syscall(SYS_landlock_add_rule, rules, PATH_BENEATH, &b, 0) ? -errno : 0;
}

int landlock_restrict(const struct landlock_rule *rule, size_t n)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, GET_VERSION);
	struct ruleset all;
	int rules, r = 0;

	if (version < 1)
		return version < 0 ? -errno : -ENOSYS;
	all = ruleset_for_version(version);
	rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	if (rules < 0)
		return -errno;
	for (size_t i = 0; !r && i < n; i++)
		r = add_path_rule(rules, &rule[i], all.files);
	if (!r && syscall(SYS_landlock_restrict_self, rules, 0))
		r = -errno;
	close(rules);
	return r ? r : (int)version;
}
