/* SPDX-License-Identifier: MIT */
#include "keys/passphrase_prompt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
enum { SIGNALS = sizeof(signals) / sizeof(signals[0]) };

static volatile sig_atomic_t caught;

static void note_signal(int sig)
{
	caught = sig;
}

/* Reads byte by byte: a buffered read would leave a copy of the passphrase in memory. */
static int read_passphrase_line(int fd, char *buf, size_t room, size_t *len)
{
	for (*len = 0;;) {
		char c;
		ssize_t n = read(fd, &c, 1);

		if (n < 0)
			return -errno;
		if (!n && !*len)
			return -ENOENT;
		if (!n || c == '\n')
			return 0;
		if (*len == room)
			return -EFBIG;
		buf[(*len)++] = c;
		c = 0;
	}
}

int passphrase_prompt_ask(int fd, const char *question, char *buf, size_t room, size_t *len)
{
	struct sigaction mine = { .sa_handler = note_signal }, old[SIGNALS];
	struct termios was, silent;
	int r;

	if (tcgetattr(fd, &was))
		return -errno;
	silent = was;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	silent.c_lflag |= ICANON | ISIG;
	caught = 0;
	for (int i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &mine, &old[i]);
	r = tcsetattr(fd, TCSAFLUSH, &silent) ? -errno : 0;
	if (!r && write(fd, question, strlen(question)) < 0)
		r = -errno;
	if (!r)
		r = read_passphrase_line(fd, buf, room, len);
	tcsetattr(fd, TCSAFLUSH, &was);
	if (write(fd, "\n", 1) < 0 && !r)
		r = -errno;
	for (int i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &old[i], NULL);
	if (caught)
		raise(caught);
	return r;
}
