/* SPDX-License-Identifier: MIT */
#include "keys/new_passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "keys/key_source.h"
#include "keys/passphrase_prompt.h"
#include "util/report.h"

/* Asks twice, and compares. */
static int ask_new_passphrase(int terminal, void *buf, size_t room, size_t *len)
{
	char *again = qc_secure_alloc(room);
	size_t n = 0;
	int r = again ? passphrase_prompt_ask(terminal, "qcowfs: new passphrase: ", buf, room, len) :
			-ENOMEM;

	if (!r)
		r = passphrase_prompt_ask(terminal, "qcowfs: the same again: ", again, room, &n);
	if (!r && (n != *len || memcmp(buf, again, n) != 0)) {
		report(QC_LOG_ERROR, "the two passphrases differ");
		r = -ECANCELED;
	}
	qc_secure_free(again);
	return r;
}

static int prompt_for_new(void *buf, size_t room, size_t *len)
{
	int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), r;

	if (terminal < 0) {
		report(QC_LOG_ERROR, "no new passphrase, and no terminal to ask for it "
				     "(--new-key-file=PATH names a file)");
		return -ECANCELED;
	}
	r = ask_new_passphrase(terminal, buf, room, len);
	close(terminal);
	if (r && r != -ECANCELED)
		report(QC_LOG_ERROR, "new passphrase: cannot read: %s", strerror(-r));
	return r ? -ECANCELED : 0;
}

/* Key sources report their errors themselves. */
static int read_new_from_fd(int fd, void *buf, size_t room, size_t *len)
{
	struct options o = { .ready_fd = -1, .key_fd = fd };
	struct key_source k = KEY_SOURCE_NONE;
	int r = key_source_open(&k, &o, "/", false);

	if (!r)
		r = key_source_get(&k, "/", 0, buf, room, len);
	key_source_close(&k);
	return r ? -ECANCELED : 0;
}

int new_passphrase_get(const char *file, int fd, void *buf, size_t room, size_t *len)
{
	int r;

	if (file)
		fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (file && fd < 0) {
		report(QC_LOG_ERROR, "--new-key-file %s: %s", file, strerror(errno));
		return -ECANCELED;
	}
	r = fd < 0 ? prompt_for_new(buf, room, len) : read_new_from_fd(fd, buf, room, len);
	if (!r && !*len) {
		report(QC_LOG_ERROR, "the new passphrase is empty");
		r = -ECANCELED;
	}
	return r;
}
