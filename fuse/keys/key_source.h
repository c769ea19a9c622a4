/* SPDX-License-Identifier: MIT */
/*
 * key_source.h - passphrases of encrypted images: from a file, a descriptor, a directory of
 * files, or the terminal.
 *
 * The daemon and the commands open one key source, and core calls key_source_get() whenever an
 * encrypted image is opened.  Regular key files are read each time, so they may change, and the
 * passphrase does not stay in memory.  Other sources are read once; see cached_passphrase.h.
 */
#ifndef KEY_SOURCE_H
#define KEY_SOURCE_H

#include <pthread.h>

#include "qcow.h"
#include "util/path_dir.h"

struct options;
struct cached_passphrase;

struct key_source {
	const char *source;		  /* directory of the images, an absolute path */
	int dirfd;			  /* of -o key-dir; -1: none */
	struct path_dir file;		  /* -o key-file, if it can be read again */
	struct cached_passphrase *cached; /* from a source that can be read only once */
	bool prompt;			  /* ask on the terminal */
	int terminal;			  /* -1: none */
	pthread_mutex_t lock;
	struct cached_passphrase *prompted; /* lock; the answers, by image */
};

#define KEY_SOURCE_NONE                                                                    \
	((struct key_source){ .dirfd = -1, .file = { .fd = -1 }, .terminal = -1,           \
			      .lock = PTHREAD_MUTEX_INITIALIZER })

/*
 * key_source_open() - open the sources that the options name
 * @k:      KEY_SOURCE_NONE; to be closed also after a failure
 * @source: directory of the images; must live as long as @k
 * @prompt: ask on the terminal if the options name no source
 *
 * Reads the passphrase from a source that can be read only once.
 * Return: 0; -errno after a message.
 */
int key_source_open(struct key_source *k, const struct options *o, const char *source, bool prompt);
void key_source_close(struct key_source *k);

/* Closes the terminal.  From then on only passphrases that were typed before are found. */
void key_source_end_prompting(struct key_source *k);

/* Returns true if there is a source. */
bool key_source_exists(const struct key_source *k);

/* Finds the passphrase of an image; a qc_key_fn whose arg is the struct key_source. */
qc_key_fn key_source_get;

#endif
