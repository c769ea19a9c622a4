/* SPDX-License-Identifier: MIT */
#include "commands/interrupt.h"

#include <signal.h>
#include <stddef.h>

#include "commands/common.h"

static volatile sig_atomic_t has_come;

static void note_interrupt(int number)
{
	(void)number;
	has_come = 1;
}

void interrupt_catch(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction catch = { .sa_handler = note_interrupt, .sa_flags = SA_RESTART }, old;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &catch, NULL);
}

bool interrupt_has_come(void)
{
	return has_come;
}

bool interrupt_is_pending(void *command)
{
	(void)command;
	return has_come;
}

bool interrupt_progress(void *command, uint64_t done, uint64_t total)
{
	command_show_progress(command, done, total);
	return !has_come;
}
