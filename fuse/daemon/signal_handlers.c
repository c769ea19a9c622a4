/* SPDX-License-Identifier: MIT */
#include "daemon/signal_handlers.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "ops/fuse_api.h"
#include "util/report.h"

/* Signals that end the session, besides those for which libfuse installs a handler. */
static const int ending[] = { SIGQUIT, SIGXCPU };

/* Signals that the daemon has no use for, and whose default would kill it. */
static const int unused[] = { SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGSTKFLT, SIGTTOU };

/* Turns the signal into SIGTERM, which the main thread handles: other threads block that. */
static void end_session(int sig)
{
	(void)sig;
	kill(getpid(), SIGTERM);
}

/* Installs a handler unless the parent had the signal ignored. */
static void replace_default(int sig, void (*handler)(int))
{
	struct sigaction act = { .sa_handler = handler }, old;

	if (!sigaction(sig, NULL, &old) && old.sa_handler == SIG_DFL)
		sigaction(sig, &act, NULL);
}

bool signal_handlers_install(struct fuse_session *session)
{
	for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++)
		replace_default(unused[i], SIG_IGN);
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		replace_default(sig, SIG_IGN);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		replace_default(ending[i], end_session);
	if (!fuse_set_signal_handlers(session))
		return true;
	report(QC_LOG_ERROR, "signals: cannot install handlers");
	return false;
}

void signal_handlers_ignore_all(void)
{
	static const int others[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };

	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		signal(ending[i], SIG_IGN);
	for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++)
		signal(unused[i], SIG_IGN);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		signal(others[i], SIG_IGN);
}
