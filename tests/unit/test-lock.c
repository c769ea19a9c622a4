/* SPDX-License-Identifier: MIT */
/* An audit build aborts at the first lock that is taken out of order. */
#include "base/lock.h"

#include "tap.h"

#ifdef QC_AUDIT
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What clang would find out without running it. */
#define CARELESS THREAD_ATTR(no_thread_safety_analysis)

static struct qc_mutex shelf, slot, pool;

static void ascending(void)
{
	qc_lock(&shelf);
	qc_lock(&slot);
	qc_lock(&pool);
	qc_unlock(&pool);
	qc_unlock(&slot);
	qc_unlock(&shelf);
}

static void CARELESS given_back_in_another_order(void)
{
	qc_lock(&shelf);
	qc_lock(&slot);
	qc_unlock(&shelf);
	qc_lock(&pool);
	qc_unlock(&slot);
	qc_unlock(&pool);
	ascending();
}

static void CARELESS inverted(void)
{
	qc_lock(&slot);
	qc_lock(&shelf);
}

static void CARELESS inverted_over_a_third(void)
{
	qc_lock(&pool);
	qc_lock(&shelf);
}

static void CARELESS two_of_one_rank(void)
{
	struct qc_mutex other;

	qc_mutex_init(&other, QC_RANK_SLOT);
	qc_lock(&slot);
	qc_lock(&other);
}

static void CARELESS twice(void)
{
	qc_lock(&slot);
	qc_lock(&slot);
}

static void CARELESS unlocked_by_another(void)
{
	qc_unlock(&slot);
}

/* Whether the story, told in a process of its own, ends by abort(). */
static bool aborts(void (*story)(void))
{
	struct rlimit none = { 0, 0 };
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &none);
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		story();
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void order_is_allowed(void)
{
	CHECK(!aborts(ascending));
	CHECK(!aborts(given_back_in_another_order));
}

static void disorder_aborts(void)
{
	CHECK(aborts(inverted));
	CHECK(aborts(inverted_over_a_third));
	CHECK(aborts(two_of_one_rank));
	CHECK(aborts(twice));
	CHECK(aborts(unlocked_by_another));
}

int main(void)
{
	qc_mutex_init(&shelf, QC_RANK_LAYER_TABLE);
	qc_mutex_init(&slot, QC_RANK_SLOT);
	qc_mutex_init(&pool, QC_RANK_POOL);
	RUN(order_is_allowed);
	RUN(disorder_aborts);
	return DONE();
}
#else
int main(void)
{
	SKIP("not built with -Daudit=true");
}
#endif
