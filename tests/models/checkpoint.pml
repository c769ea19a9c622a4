/* SPDX-License-Identifier: MIT */
/*
 * The two laws: allocate -> data -> link, and unlink -> durable -> grace period -> free.
 *
 * Two writers replace the host cluster of their guest cluster, a reader follows, and checkpoints run
 * beside them.  A writer may also unlink its cluster, which is a hole then.  The first sync is left out
 * where no new link was copied.  The kernel may write any page back at any time, so after a power cut each place
 * of the file holds its last synced value or any value written since.  In all of these files
 * an L2 entry references a cluster that is counted and holds the data of that guest cluster.
 * And a reader never meets the data of another guest cluster.
 *
 * Follows core/request/cow_write.c, core/update/checkpoint.c and core/metadata/pending_free.c.
 *
 * must fail: LINK_BEFORE_DATA COUNTS_COPIED_FIRST NO_SYNC_OF_COUNTS FREE_BEFORE_SYNC
 * must fail: TAKE_AFTER_COPY NO_GRACE_PERIOD FLAG_TAKEN_EARLY
 */
#define GUEST 2	 /* guest clusters */
#define HOST 3	 /* host clusters, from 1 on; an entry of 0 references none */
#define CHECKPOINTS 2

/* In memory. */
byte entry[GUEST];
bool counted[HOST + 1], pending[HOST + 1], taken[HOST + 1];
bool new_links;
/* In the file as other programs see it, and as a set of bits the values that a power cut may leave. */
byte file_entry[GUEST], cut_entry[GUEST];
bool file_counted[HOST + 1], cut_uncounted[HOST + 1];
byte file_data[HOST + 1], cut_data[HOST + 1];
/* A request is in flight; how many it has ended. */
bool in_flight[GUEST + 1];
byte ended[GUEST + 1];

/* No entry that a cut may leave references a cluster that may be uncounted or hold other data. */
#define SOUND_LINK(g, h) (!(cut_entry[g] & (1 << h)) || (!cut_uncounted[h] && cut_data[h] == 1 << (g + 1)))
#define SOUND(g) (SOUND_LINK(g, 1) && SOUND_LINK(g, 2) && SOUND_LINK(g, 3))

inline write_entry(g, value) {
	d_step {
		file_entry[g] = value;
		cut_entry[g] = cut_entry[g] | (1 << value);
		assert(SOUND(0) && SOUND(1))
	}
}

inline write_data(h, g) {
	d_step {
		file_data[h] = g + 1;
		cut_data[h] = cut_data[h] | (1 << (g + 1));
		assert(SOUND(0) && SOUND(1))
	}
}

inline write_counts() {
	d_step {
		for (i : 1 .. HOST) {
			file_counted[i] = counted[i];
			cut_uncounted[i] = cut_uncounted[i] || !counted[i]
		}
		i = 0;
		assert(SOUND(0) && SOUND(1))
	}
}

inline sync_file() {
	d_step {
		for (i : 0 .. GUEST - 1) { cut_entry[i] = 1 << file_entry[i] }
		for (i : 1 .. HOST) { cut_uncounted[i] = !file_counted[i]; cut_data[i] = 1 << file_data[i] }
		i = 0
	}
}

inline begin_request(me) { in_flight[me] = true }
inline end_request(me) { d_step { in_flight[me] = false; ended[me]++ } }

/* The first free cluster, or 0.  The real file would grow. */
inline allocate(h) {
	atomic {
		if
		:: !counted[1] -> h = 1
		:: counted[1] && !counted[2] -> h = 2
		:: counted[1] && counted[2] && !counted[3] -> h = 3
		:: counted[1] && counted[2] && counted[3] -> h = 0
		fi;
		counted[h] = true
	}
}

inline link(g, h, old) {
	d_step { old = entry[g]; entry[g] = h; new_links = true }
}

inline unlink(g) {
	d_step { pending[entry[g]] = true; entry[g] = 0 }
}

proctype writer(byte g; byte writes) {
	byte h, old;

	do
	:: writes ->
		begin_request(g);
		if
		:: allocate(h)
		:: entry[g] -> unlink(g)
		fi;
		if
		:: h ->
#ifdef LINK_BEFORE_DATA
			link(g, h, old);
			write_data(h, g);
#else
			write_data(h, g);
			link(g, h, old);
#endif
			pending[old] = true
		:: else
		fi;
		h = 0;
		old = 0;
		end_request(g);
		writes--
	:: else -> break
	od
}

proctype reader() {
	byte h;

	begin_request(GUEST);
	h = entry[0];
	assert(!h || file_data[h] == 1);
	end_request(GUEST)
}

inline take_pending() {
	d_step {
		for (i : 1 .. HOST) { taken[i] = pending[i]; pending[i] = false }
		i = 0
	}
}

/* Each slice is copied for itself.  The flag is taken when all are. */
inline copy_entries() {
#ifdef FLAG_TAKEN_EARLY
	d_step { ordered = new_links; new_links = false }
#endif
	entry_copy[0] = entry[0];
	entry_copy[1] = entry[1];
#ifndef FLAG_TAKEN_EARLY
	d_step { ordered = new_links; new_links = false }
#endif
}

inline write_entries() {
	write_entry(0, entry_copy[0]);
	write_entry(1, entry_copy[1]);
	d_step { entry_copy[0] = 0; entry_copy[1] = 0 }
}

/* Waits until each request that is in flight now has ended. */
inline grace_period() {
	d_step { for (i : 0 .. GUEST) { was[i] = in_flight[i]; at[i] = ended[i] } }
	(!was[0] || ended[0] != at[0]) && (!was[1] || ended[1] != at[1]) && (!was[2] || ended[2] != at[2]);
	d_step { for (i : 0 .. GUEST) { was[i] = false; at[i] = 0 } i = 0 }
}

inline free_taken() {
	d_step {
		for (i : 1 .. HOST) { counted[i] = counted[i] && !taken[i]; taken[i] = false }
		i = 0
	}
}

proctype checkpoints() {
	byte n = 0, i, entry_copy[GUEST], at[GUEST + 1];
	bool was[GUEST + 1], ordered;

	do
	:: n < CHECKPOINTS ->
#ifndef TAKE_AFTER_COPY
		take_pending();
#endif
#ifdef COUNTS_COPIED_FIRST
		write_counts();
		copy_entries();
#else
		copy_entries();
		write_counts();
#endif
#ifdef TAKE_AFTER_COPY
		take_pending();
#endif
#ifndef NO_SYNC_OF_COUNTS
		if
		:: ordered -> sync_file()
		:: else
		fi;
		ordered = false;
#endif
		write_entries();
#ifndef FREE_BEFORE_SYNC
		sync_file();
#endif
#ifndef NO_GRACE_PERIOD
		grace_period();
#endif
		free_taken();
#ifdef FREE_BEFORE_SYNC
		sync_file();
#endif
		n++
	:: else -> break
	od
}

init {
	byte i;

	atomic {
		sync_file();
		run writer(0, 2);
		run writer(1, 1);
		run reader();
		run checkpoints()
	}
}
