/* SPDX-License-Identifier: MIT */
/*
 * page_helper.h - a process that lets the kernel drop pages of the mount.
 *
 * The head of ops/shared_pages.h has the reasons.  The process is forked
 * before the daemon opens any image or key, and gets a descriptor of /dev/fuse when it is mounted.
 *
 * A page that a request reads is dropped after the reply.  If the daemon dies before, no reply comes:
 * then the helper fails all requests of the kernel, and ends.
 */
#ifndef PAGE_HELPER_H
#define PAGE_HELPER_H

#include <stdbool.h>
#include <sys/types.h>

struct page_helper {
	pid_t pid;  /* 0: there is none */
	int socket; /* to the helper, for struct page_drop in both directions */
};

#define PAGE_HELPER_NONE { 0, -1 }

/* Forks the helper.  @argv: of main(); overwritten in the helper.  Return: 0; -errno. */
int page_helper_start(struct page_helper *h, char **argv);

/* Gives the mounted session's descriptor to the helper, which then enters the sandbox if it is
 * @sandboxed.  Return: 0; -errno. */
int page_helper_attach(struct page_helper *h, int fuse_fd, bool sandboxed);

/* Ends the helper and waits for that.  Call it when no descriptor of /dev/fuse is open here. */
void page_helper_end(struct page_helper *h);

#endif
