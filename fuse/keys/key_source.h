/* SPDX-License-Identifier: MIT */
/*
 * key_source.h - where passphrases come from: a file, a descriptor, a folder of files,
 * or the terminal.
 *
 * Files are read each time an image is opened, so that they may change, and so
 * that the passphrase need not be kept.  What can be read only once is kept, but
 * not as it is: see key_source.c.
 */
#ifndef KEY_SOURCE_H
#define KEY_SOURCE_H

#include <pthread.h>

#include "qcow.h"

struct options;
struct kept;

struct key_source {
	const char *source; /* the folder of the images, an absolute path */
	int dirfd;	    /* of the folder of keys; -1: none */
	int file_dirfd;	    /* where the key file is, if it is read again; -1 */
	char *file_name;
	struct kept *once;  /* what could be read only once */
	bool ask;	    /* on the terminal, for now */
	int terminal;	    /* -1: none */
	pthread_mutex_t lock;
	struct kept *asked; /* lock */
};

#define KEY_SOURCE_NONE                                                                    \
	((struct key_source){ .dirfd = -1, .file_dirfd = -1, .terminal = -1,               \
			      .lock = PTHREAD_MUTEX_INITIALIZER })

/* Opens what the options name, and reads what can be read only once.  `single`:
 * SOURCE is one image, for which the terminal is asked.  -errno, and it has said
 * why. */
int key_source_open(struct key_source *k, const struct options *o, const char *source, bool single);
void key_source_close(struct key_source *k);

/* Nobody is at the terminal any more. */
void key_source_end_asking(struct key_source *k);

/* Whether there is any; and a qc_key_fn, whose arg is the struct key_source. */
bool key_source_exists(const struct key_source *k);
qc_key_fn key_source_get;

#endif
