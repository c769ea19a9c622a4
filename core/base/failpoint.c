/* SPDX-License-Identifier: MIT */
#include "base/failpoint.h"

typedef int qc_failpoint_not_empty; /* C requires a declaration in each file */

#ifdef QC_FAILPOINTS
#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

enum state { OFF, FAIL, PARK, PARKED };

static struct point {
	const char *name;
	enum state state;
} points[8];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static struct point *find_point(const char *name)
{
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		if (points[i].state != OFF && !strcmp(points[i].name, name))
			return &points[i];
	return NULL;
}

static void arm_point(const char *name, enum state state)
{
	pthread_mutex_lock(&lock);
	assert(!find_point(name));
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		if (points[i].state == OFF) {
			points[i] = (struct point){ name, state };
			break;
		}
	}
	assert(find_point(name));
	pthread_mutex_unlock(&lock);
}

void qc_failpoint_once(const char *name)
{
	arm_point(name, FAIL);
}

void qc_failpoint_park(const char *name)
{
	arm_point(name, PARK);
}

void qc_failpoint_await(const char *name)
{
	pthread_mutex_lock(&lock);
	while (find_point(name) && find_point(name)->state != PARKED)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

void qc_failpoint_resume(const char *name)
{
	pthread_mutex_lock(&lock);
	assert(find_point(name) && find_point(name)->state == PARKED);
	find_point(name)->state = OFF;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

bool qc_failpoint_point(const char *name)
{
	struct point *p;
	bool fail = false;

	pthread_mutex_lock(&lock);
	p = find_point(name);
	if (p && p->state == FAIL) {
		p->state = OFF;
		fail = true;
	} else if (p && p->state == PARK) {
		p->state = PARKED;
		pthread_cond_broadcast(&changed);
		while (p->state == PARKED)
			pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
	return fail;
}
#endif
