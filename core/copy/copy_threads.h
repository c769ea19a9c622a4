/* SPDX-License-Identifier: MIT */
/* copy_threads.h - threads that do one job together. */
#ifndef QC_COPY_THREADS_H
#define QC_COPY_THREADS_H

enum {
	COPY_THREADS_DEFAULT = 8,
	COPY_THREADS_MAX = 64,
};

/* Returns the number of threads for work of processors: the default, or one for each. */
unsigned int qc_copy_threads_for_processors(void);

/* Calls run(@arg) in @n threads, the caller's among them, or in fewer if no more can be made.
 * Returns when all have ended. */
void qc_copy_threads_run(unsigned int n, void *(*run)(void *arg), void *arg);

#endif
