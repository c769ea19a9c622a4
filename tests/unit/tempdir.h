/* SPDX-License-Identifier: MIT */
/*
 * tempdir.h - a folder for one test program, which goes when the program does.
 *
 * It is made in $TEST_TMP, or else in $TMPDIR or /tmp.
 */
#ifndef TEMPDIR_H
#define TEMPDIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char tempdir[300];
static pid_t tempdir_owner;

static inline int tempdir_rm_one(const char *path, const struct stat *st, int type,
				 struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void tempdir_rm(void)
{
	if (getpid() == tempdir_owner)
		nftw(tempdir, tempdir_rm_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Makes it, and goes there. */
static inline void tempdir_enter(void)
{
	const char *top = getenv("TEST_TMP");
	char path[250];

	if (!top || !*top)
		top = getenv("TMPDIR");
	if (!top || !*top)
		top = "/tmp";
	snprintf(path, sizeof(path), "%s/qcowfs-test-XXXXXX", top);
	if (!mkdtemp(path) || chdir(path) || !getcwd(tempdir, sizeof(tempdir))) {
		perror(path);
		exit(1);
	}
	tempdir_owner = getpid();
	atexit(tempdir_rm);
}

#endif
