/* SPDX-License-Identifier: MIT */
/*
 * The hand-over of a decompressed cluster from the thread that fills its slot to those that wait.
 *
 * Three readers want clusters 1, 1 and 2; there is one slot.  Decompressing may fail.  Another
 * thread changes the clusters, and then invalidates the slot, whatever it holds.  Each reader gets the
 * bytes of its cluster as they were during its read, or an error if its own try failed.
 *
 * Follows core/compress/cluster_cache.c.
 *
 * must fail: COPIES_WHILE_FILLING REPLACES_USED_SLOT FILLER_SETS_OWNER INVALIDATES_FIRST
 */
#define READERS 3

bit locked;
/* The slot. */
byte owner, users;	  /* cluster, 0 none */
bool filling;
byte bytes, bytes_age;	  /* of which cluster, and how old; 0: half written */
/* The file. */
byte age = 1;

inline lock() { atomic { !locked -> locked = 1 } }
inline unlock() { locked = 0 }

inline decompress_elsewhere() {
	if
	:: got = want; got_age = age
	:: failed = true
	fi
}

proctype reader(byte want) {
	byte got, got_age, began, read_age;
	bool failed, fills, waited_in_vain;

	began = age;
	lock();
	if
	:: owner == want -> users++
#ifdef REPLACES_USED_SLOT
	:: owner != want && !filling ->
#else
	:: owner != want && users == 0 ->
#endif
		owner = want;
		filling = true;
		fills = true;
		users++
#ifdef REPLACES_USED_SLOT
	:: owner != want && filling ->
#else
	:: owner != want && users ->
#endif
		unlock();
		decompress_elsewhere();
		goto done
	fi;
	if
	:: fills ->
		unlock();
		read_age = age;
		bytes = 0;
		if
		:: bytes = want; bytes_age = read_age
		:: failed = true
		fi;
		lock();
		filling = false;
#ifdef FILLER_SETS_OWNER
		owner = want;
#endif
		if
		:: failed -> owner = 0
		:: else
		fi
	:: !fills ->
#ifndef COPIES_WHILE_FILLING
		do
		:: filling ->
			unlock();
			atomic { !filling && !locked -> locked = 1 }
		:: else -> break
		od;
#endif
		waited_in_vain = (owner != want)
	fi;
	unlock();
	if
	:: !failed && !waited_in_vain -> got = bytes; got_age = bytes_age
	:: else
	fi;
	lock();
	users--;
	unlock();
	if
	:: waited_in_vain -> decompress_elsewhere()
	:: else
	fi;
done:
	assert(failed || (got == want && got_age >= began))
}

proctype changes() {
#ifdef INVALIDATES_FIRST
	lock();
	owner = 0;
	unlock();
	age = 2
#else
	/* No new reader finds the change before the slot was invalidated. */
	lock();
	atomic { age = 2; owner = 0 }
	unlock()
#endif
}

init {
	atomic {
		run reader(1);
		run reader(1);
		run reader(2);
		run changes()
	}
}
