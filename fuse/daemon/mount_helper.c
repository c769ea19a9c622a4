/* SPDX-License-Identifier: MIT */
#include "daemon/mount_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/mount_options.h"
#include "util/report.h"

bool mount_helper_is_called(const char *argv0)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL, *name = slash ? slash + 1 : argv0;

	return name && !strncmp(name, "mount.", 6);
}

/* Returns true if a list of options has one that mount.fuse3 carries out. */
static bool is_for_mount_fuse(const char *list)
{
	while (*list) {
		size_t n = strcspn(list, ",");

		if ((n == 15 && !strncmp(list, "drop_privileges", n)) || !strncmp(list, "setuid=", 7))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

/* Returns the lists of all -o arguments in one, after @before; NULL: out of memory. */
static char *join_option_lists(const char *before, int argc, char **argv)
{
	char *all = strdup(before ? before : "");

	for (int i = 1; all && i + 1 < argc; i++) {
		char *more = NULL;

		if (strcmp(argv[i], "-o") != 0)
			continue;
		if (asprintf(&more, "%s%s%s", all, *all ? "," : "", argv[i + 1]) < 0)
			more = NULL;
		free(all);
		all = more;
	}
	return all;
}

/* Puts the folder of this program first in PATH, where mount.fuse3 looks for the file system. */
static void prepend_own_folder(void)
{
	char self[PATH_MAX], *all, *slash;
	const char *path = getenv("PATH");
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return;
	self[n] = 0;
	slash = strrchr(self, '/');
	*slash = 0;
	if (asprintf(&all, "%s:%s", self, path ? path : "/usr/bin:/bin") < 0)
		return;
	setenv("PATH", all, 1);
	free(all);
}

/* Runs mount.fuse3 with this program as the file system.  Returns only if that fails. */
static enum exitcode run_mount_fuse(const char *source, const char *mountpoint, const char *list)
{
	static const char *const paths[] = { "/sbin/mount.fuse3", "/usr/sbin/mount.fuse3",
					     "/usr/local/sbin/mount.fuse3" };

	prepend_own_folder();
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		execl(paths[i], paths[i], source, mountpoint, "-t", "fuse.qcowfs", "-o", list, (char *)NULL);
	report(QC_LOG_ERROR, "drop_privileges: cannot run mount.fuse3, which does that: %s (install fuse3)",
	       strerror(errno));
	return EXIT_MOUNT;
}

/* Enters the namespace of mount -N. */
static enum exitcode enter_namespace(const char *path)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1, r = 0;

	if (path && (fd < 0 || setns(fd, CLONE_NEWNS)))
		r = errno;
	if (fd >= 0)
		close(fd);
	if (r)
		report(QC_LOG_ERROR, "%s: cannot enter the mount namespace: %s", path, strerror(r));
	return r ? EXIT_MOUNT : EXIT_OK;
}

/* The name in the mount table is SOURCE, as it is without mount.fuse3. */
static char *join_options_for_mount_fuse(const char *source, int argc, char **argv)
{
	struct options name = { 0 };
	char *list = NULL;

	if (!mount_option_append(&name, "fsname", source))
		list = join_option_lists(name.mount_options, argc, argv);
	free(name.mount_options);
	return list;
}

enum exitcode mount_helper_parse(struct options *o, int argc, char **argv)
{
	char *list = join_option_lists(NULL, argc, argv);
	enum exitcode e;

	if (list && is_for_mount_fuse(list) && argc > 2) { /* mount(8) gives the operands first */
		*o = (struct options){ 0 };
		free(list);
		list = join_options_for_mount_fuse(argv[1], argc, argv);
		e = run_mount_fuse(argv[1], argv[2], list ? list : "");
	} else {
		e = options_parse_helper(o, argc, argv);
		if (!e)
			e = enter_namespace(o->mount_namespace);
	}
	free(list);
	return e;
}
