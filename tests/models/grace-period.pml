/* SPDX-License-Identifier: MIT */
/*
 * Grace periods and drained sections with two counters of requests in flight.
 *
 * Two requests look up an extent and use it.  A checkpoint unlinks the extent, waits for a grace
 * period and frees it, twice.  Then a drained section runs.  No request uses an extent that is
 * free, none is in flight in the drained section, and no thread waits for ever.
 *
 * Follows core/base/inflight.c.  In one order of memory; weaker ones are in grace-period.litmus.
 *
 * must fail: ONE_SIDE_ONLY COUNTED_AFTER_LOOKUP DRAINING_READ_FIRST WAKES_WITHOUT_LOCK
 */
byte count[2];
bit side, waiting, draining;
bit locked;		     /* the mutex of the two conditions */
byte sleeps_for_end, sleeps_for_drain; /* threads that sleep */
byte extent = 1;	     /* linked; 0 none */
bool is_free[4];
bool in_drain;

inline lock() { atomic { !locked -> locked = 1 } }
inline unlock() { locked = 0 }

proctype request() {
	bit mine;
	byte x;

again:
#ifdef DRAINING_READ_FIRST
	!draining;
#endif
#ifdef COUNTED_AFTER_LOOKUP
	x = extent;
#endif
	mine = side;
	count[mine]++;
#ifndef DRAINING_READ_FIRST
	if
	:: draining ->
		count[mine]--;
		if
		:: waiting ->
			lock();
			sleeps_for_end = 0;
			unlock()
		:: else
		fi;
		lock();
		do
		:: draining ->
			atomic { sleeps_for_drain++; unlock() }
			sleeps_for_drain == 0;
			lock()
		:: else -> break
		od;
		unlock();
		goto again
	:: else
	fi;
#endif
#ifndef COUNTED_AFTER_LOOKUP
	x = extent;
#endif
	assert(!x || !is_free[x]);
	assert(!in_drain);
	count[mine]--;
	if
	:: waiting ->
#ifdef WAKES_WITHOUT_LOCK
		sleeps_for_end = 0
#else
		lock();
		sleeps_for_end = 0;
		unlock()
#endif
	:: else
	fi
}

inline drain_side() {
	old = side;
	side = 1 - old;
	lock();
	do
	:: count[old] ->
		atomic { sleeps_for_end = 1; unlock() }
		sleeps_for_end == 0;
		lock()
	:: else -> break
	od;
	unlock()
}

inline synchronize() {
	waiting = 1;
	drain_side();
#ifndef ONE_SIDE_ONLY
	drain_side();
#endif
	waiting = 0
}

proctype checkpoints() {
	byte unlinked;
	bit old;

	do
	:: extent < 3 && extent ->
		atomic { unlinked = extent; extent++ }
		synchronize();
		is_free[unlinked] = true
	:: else -> break
	od;
	draining = 1;
	synchronize();
	in_drain = true;
	in_drain = false;
	lock();
	draining = 0;
	sleeps_for_drain = 0;
	unlock()
}

init {
	atomic {
		run request();
		run request();
		run checkpoints()
	}
}
