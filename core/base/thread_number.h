/* SPDX-License-Identifier: MIT */
/* thread_number.h - numbers of threads, to spread them over shards of a counter or a pool. */
#ifndef QC_THREAD_NUMBER_H
#define QC_THREAD_NUMBER_H

extern _Thread_local unsigned int qc_thread_number_plus_one; /* 0: none yet */

/* Gives this thread the next number. */
void qc_thread_number_set(void);

/* Returns the number of this thread, from 0 on, in the order of the first calls. */
static inline unsigned int qc_thread_number(void)
{
	if (!qc_thread_number_plus_one)
		qc_thread_number_set();
	return qc_thread_number_plus_one - 1;
}

#endif
