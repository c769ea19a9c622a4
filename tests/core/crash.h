/* SPDX-License-Identifier: MIT */
/*
 * crash.h - cuts a writer off at any point, and then checks the image.
 *
 * A scenario is a list of requests on a small image.  The rig notes the allowed content
 * of each sector of the disk, records all operations on the file, and makes images that
 * the file may hold after a crash: see record.h.  Each image must
 *
 *	- be without corruption to qemu-img check (leaks are fine),
 *	- read, in each sector, as at the last flush, or as a later write to
 *	  that sector,
 *	- read the same through QEMU (a sample), snapshots too,
 *	- take writes again (a sample).
 *
 * $CRASH_IMAGES: the number of images of each scenario.  $CRASH_KEEP: a folder for
 * bad images.
 */
#ifndef CRASH_H
#define CRASH_H

#include <spawn.h>

#include "record.h"

extern char **environ;

#define PASSPHRASE "letmein"
#define SECRET	   "secret,id=s,data=" PASSPHRASE

enum { SLOTS = 2, TAG = 0x51c0f5, SAMPLE = 10 };

struct change {
	size_t at; /* in the log, when it began */
	uint32_t sector, value;
	size_t next; /* of the same sector; 0: none */
	bool maybe;  /* it failed, or has not ended: it may be there, or not */
	bool part;   /* of a sector; so the sector may be a mixture */
};

struct flushed {
	size_t at, changes;
};

struct scenario {
	const char *name;
	const char *format; /* of QEMU */
	void (*make)(const struct scenario *s); /* makes img in the folder "w" */
	void (*steps)(void);
	const char *options; /* for make */
	uint64_t bytes;	     /* of the disk */
	bool data_file, snapshot;
	bool dirty;   /* QEMU was killed before: until that is repaired, counts are wrong */
	bool shrinks; /* bytes that it cuts off must be zeros after the crash */
	bool encrypted; /* with PASSPHRASE; the options say how */
	bool rare;	/* only if there is time: $LONG, or a number of images */
	bool offline;	/* its steps open the image themselves */
	uint64_t cache_bytes;
};

#define SCENARIO(n, f, how, what, o, size)                                            \
	.name = (n), .format = (f), .make = (how), .steps = (what), .options = (o), .bytes = (size)

static struct {
	const struct scenario *s;
	uint64_t seed;
	struct qc_context *ctx;
	struct qc_image *img;
	struct disk start[REC_FILES]; /* the files before */
	pthread_mutex_t lock;	      /* for all below */
	uint8_t (*value)[REC_SECTOR];
	uint32_t values, values_room, sectors, version;
	struct change *change; /* the first `sectors` are the old content */
	size_t changes, changes_room;
	size_t *last; /* change of each sector */
	struct flushed *flush;
	size_t flushes;
	struct {
		uint64_t size;
		size_t from, done; /* began to be so, was so for certain */
	} size[64];
	size_t sizes;
	uint64_t snapshot_bytes;
	uint8_t *snapshot;
	unsigned int errors; /* requests that failed */
	unsigned int images, bad;
} rig = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* A test's own look at an image, in dir, as it may be at a place of the log; it complains. */
static bool (*rig_look)(struct qc_image *img, size_t at, const char *dir, bool sample);

/* A test's own verdict on the image in dir, instead of the rig's; it complains. */
static bool (*rig_judge)(const char *dir, bool sample);

/* Whether the user wants the long form of each test. */
static inline bool is_long(void)
{
	return getenv("LONG");
}

/*
 * In place of libc's: the flusher waits until it is stopped.  How long a scenario takes would
 * otherwise say where its checkpoints are, and so which request a fault meets.
 */
int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
	(void)until;
	return pthread_cond_wait(c, m);
}

/* ---- values ------------------------------------------------------------------- */

/* A sector that says where it belongs. */
static inline void tagged(uint8_t *to, uint32_t sector, uint32_t version)
{
	uint32_t head[4] = { TAG, sector, version, 0 };

	/* It can be compressed. */
	for (size_t i = 0; i < REC_SECTOR; i += sizeof(head))
		memcpy(to + i, head, sizeof(head));
}

static inline const char *tag_of(const uint8_t *p, char *out, size_t n)
{
	uint32_t head[4];

	memcpy(head, p, sizeof(head));
	if (head[0] == TAG)
		snprintf(out, n, "sector %u version %u", head[1], head[2]);
	else
		snprintf(out, n, "%02x %02x %02x %02x...", p[0], p[1], p[2], p[3]);
	return out;
}

static inline uint32_t value_new(const uint8_t *bytes)
{
	if (rig.values == rig.values_room) {
		rig.values_room = rig.values_room ? 2 * rig.values_room : 4096;
		rig.value = realloc(rig.value, rig.values_room * sizeof(*rig.value));
	}
	memcpy(rig.value[rig.values], bytes, REC_SECTOR);
	return rig.values++;
}

static inline size_t change_new(uint32_t sector, const uint8_t *bytes)
{
	size_t i = rig.changes++;

	if (i == rig.changes_room) {
		rig.changes_room = i ? 2 * i : 16384;
		rig.change = realloc(rig.change, rig.changes_room * sizeof(*rig.change));
	}
	rig.change[i] = (struct change){ rec_position(), sector, value_new(bytes), 0, true, false };
	if (rig.last[sector])
		rig.change[rig.last[sector] - 1].next = i;
	rig.last[sector] = i + 1;
	return i;
}

/* ---- requests ----------------------------------------------------------------- */

enum what { BYTES, ZEROS };

/* The sectors of [off, end) change; returns the first of the changes. */
static inline size_t begin_change(uint64_t off, uint64_t end, enum what what, uint8_t *buf)
{
	static const uint8_t zeros[REC_SECTOR];
	size_t first;

	pthread_mutex_lock(&rig.lock);
	first = rig.changes;
	rig.version++;
	for (uint64_t s = off / REC_SECTOR; s * REC_SECTOR < end; s++) {
		uint64_t a = max_u64(off, s * REC_SECTOR), b = min_u64(end, (s + 1) * REC_SECTOR);
		uint8_t now[REC_SECTOR], new[REC_SECTOR];

		memcpy(now, rig.value[rig.change[rig.last[s] - 1].value], REC_SECTOR);
		tagged(new, (uint32_t)s, rig.version);
		memcpy(now + a % REC_SECTOR, what == ZEROS ? zeros : new + a % REC_SECTOR, b - a);
		if (buf)
			memcpy(buf + (a - off), now + a % REC_SECTOR, b - a);
		change_new((uint32_t)s, now);
		rig.change[rig.changes - 1].part = b - a < REC_SECTOR;
	}
	pthread_mutex_unlock(&rig.lock);
	return first;
}

static inline void end_change(size_t first, uint64_t off, uint64_t end, qc_err r)
{
	uint64_t n = end ? (end - 1) / REC_SECTOR + 1 - off / REC_SECTOR : 0;

	pthread_mutex_lock(&rig.lock);
	for (size_t i = first; i < first + n; i++)
		rig.change[i].maybe = r;
	if (r)
		rig.errors++;
	pthread_mutex_unlock(&rig.lock);
}

static inline qc_err g_write(uint64_t off, uint64_t len)
{
	uint8_t *buf = malloc(len + 1);
	size_t first = begin_change(off, off + len, BYTES, buf);
	qc_err r = qc_write(rig.img, off, buf, len);

	end_change(first, off, off + len, r);
	free(buf);
	return r;
}

static inline qc_err g_write_compressed(uint64_t off, uint64_t len)
{
	uint8_t *buf = malloc(len + 1);
	size_t first = begin_change(off, off + len, BYTES, buf);
	qc_err r = qc_write_compressed(rig.img, off, buf, len);

	end_change(first, off, off + len, r);
	free(buf);
	return r;
}

/* A part of a cluster. */
static inline qc_err g_write_gathered(uint64_t off, uint64_t len)
{
	uint8_t *buf = malloc(len + 1);
	size_t first = begin_change(off, off + len, BYTES, buf);
	qc_err r = qc_write_gathered(rig.img, off, buf, len);

	end_change(first, off, off + len, r);
	free(buf);
	return r;
}

static inline qc_err g_zero(uint64_t off, uint64_t len)
{
	size_t first = begin_change(off, off + len, ZEROS, NULL);
	qc_err r = qc_write_zeroes(rig.img, off, len);

	end_change(first, off, off + len, r);
	return r;
}

static inline qc_err g_discard(uint64_t off, uint64_t len)
{
	size_t first = begin_change(off, off + len, ZEROS, NULL);
	qc_err r = qc_discard(rig.img, off, len);

	end_change(first, off, off + len, r);
	return r;
}

static inline qc_err g_noted(qc_err r)
{
	pthread_mutex_lock(&rig.lock);
	if (r)
		rig.errors++;
	pthread_mutex_unlock(&rig.lock);
	return r;
}

static inline qc_err g_allocate(uint64_t off, uint64_t len)
{
	return g_noted(qc_allocate(rig.img, off, len));
}

static inline qc_err g_settle(void)
{
	return g_noted(qc_writeback(rig.img));
}

static inline qc_err g_flush(void)
{
	size_t changes;
	qc_err r;

	pthread_mutex_lock(&rig.lock);
	changes = rig.changes;
	pthread_mutex_unlock(&rig.lock);
	r = g_noted(qc_flush(rig.img));
	if (r)
		return r;
	pthread_mutex_lock(&rig.lock);
	rig.flush = realloc(rig.flush, (rig.flushes + 1) * sizeof(*rig.flush));
	rig.flush[rig.flushes++] = (struct flushed){ rec_position(), changes };
	pthread_mutex_unlock(&rig.lock);
	return 0;
}

/* Grows a new disk in memory.  g_flush_grown() makes its size durable. */
static inline qc_err g_grow(uint64_t size)
{
	uint64_t old = qc_size(rig.img);
	size_t first;
	qc_err r;

	rig.size[rig.sizes].from = rec_position();
	rig.size[rig.sizes].done = SIZE_MAX;
	rig.size[rig.sizes++].size = size;
	first = begin_change(old, size, ZEROS, NULL);
	r = qc_grow(rig.img, size);
	end_change(first, old, size, r);
	return r;
}

static inline qc_err g_flush_grown(void)
{
	qc_err r = g_flush();

	if (!r)
		rig.size[rig.sizes - 1].done = rec_position();
	return r;
}

static inline qc_err g_resize(uint64_t size)
{
	uint64_t old = qc_size(rig.img);
	size_t first = 0;
	qc_err r;

	rig.size[rig.sizes].from = rec_position();
	rig.size[rig.sizes].done = SIZE_MAX;
	rig.size[rig.sizes++].size = size;
	if (size > old)
		first = begin_change(old, size, ZEROS, NULL);
	r = qc_resize(rig.img, size);
	if (size > old)
		end_change(first, old, size, r);
	if (size < old)
		end_change(begin_change(size, old, ZEROS, NULL), size, old, r);
	if (!r && !g_flush())
		rig.size[rig.sizes - 1].done = rec_position();
	return r;
}

/* ---- the beginning -------------------------------------------------------------- */

static inline int rig_files(const char *const **path)
{
	static const char *const paths[] = { "w/img", "w/d.data" };

	*path = paths;
	return rig.s->data_file ? 2 : 1;
}

/* How QEMU's programs are told of the image in the folder that they run in. */
static inline const char *rig_image(const struct scenario *s)
{
	static char text[200];

	snprintf(text, sizeof(text), s->encrypted ? "--object " SECRET " --image-opts driver=%s,"
		 "encrypt.key-secret=s,file.filename=img" : "-f %s img", s->format);
	return text;
}

/* A raw file of tagged sectors, as old content. */
static inline void spill_tagged(const char *path, uint64_t bytes, uint32_t version)
{
	uint64_t n = (bytes + REC_SECTOR - 1) / REC_SECTOR;
	uint8_t *buf = malloc(n * REC_SECTOR);

	for (uint64_t i = 0; i < n; i++)
		tagged(buf + i * REC_SECTOR, (uint32_t)i, version);
	spill(path, buf, bytes);
	free(buf);
}

static inline void rig_know(const struct scenario *s)
{
	size_t size;
	uint8_t *disk;

	sh("cd w && qemu-img convert -q -O raw %s ../disk.raw", rig_image(s));
	disk = slurp("disk.raw", &size);
	rig.sectors = 2 * (uint32_t)(size / REC_SECTOR) + 1;
	rig.last = calloc(rig.sectors, sizeof(*rig.last));
	for (uint32_t i = 0; i < rig.sectors; i++) {
		uint64_t off = (uint64_t)i * REC_SECTOR;
		uint8_t sector[REC_SECTOR] = { 0 };

		if (off < size)
			memcpy(sector, disk + off, min_u64(REC_SECTOR, size - off));
		change_new(i, sector);
		rig.change[i].maybe = false;
	}
	free(disk);
	rig.size[0].size = size;
	rig.sizes = 1;
	if (s->snapshot) {
		sh("cd w && qemu-img convert -q -l one -O raw %s ../snap.raw", rig_image(s));
		rig.snapshot = slurp("snap.raw", &size);
		rig.snapshot_bytes = size;
	}
}

/* ---- images that scenarios begin with --------------------------------------------- */

/* QEMU measures its processor for LUKS, and gives up if that is busy. */
static inline void make_encrypted(const struct scenario *s)
{
	for (int i = 0; try_sh("cd w && qemu-img create -q --object " SECRET " -f %s -o "
			       "%s,encrypt.key-secret=s img %" PRIu64, s->format, s->options,
			       s->bytes); i++)
		if (i == 20)
			fatal("qemu-img create");
}

static inline void make_empty(const struct scenario *s)
{
	if (s->encrypted)
		make_encrypted(s);
	else
		sh("cd w && qemu-img create -q -f %s %s %s img %" PRIu64, s->format,
		   s->options ? "-o" : "", s->options ? s->options : "", s->bytes);
}

/* The first half has data. */
static inline void make_filled(const struct scenario *s)
{
	make_empty(s);
	spill_tagged("w/fill", s->bytes / 2, 0);
	sh("cd w && qemu-io -c 'write -s fill 0 %" PRIu64 "' %s >/dev/null", s->bytes / 2,
	   rig_image(s));
}

/* All has data, and a third then other data. */
static inline void make_snapshot(const struct scenario *s)
{
	make_filled(s);
	sh("cd w && qemu-img snapshot -c one %s", rig_image(s) + (s->encrypted ? 0 : 8));
	spill_tagged("w/fill", s->bytes / 3, 1000000);
	sh("cd w && qemu-io -c 'write -s fill 0 %" PRIu64 "' %s >/dev/null", s->bytes / 8,
	   rig_image(s));
}

static inline void make_packed(const struct scenario *s)
{
	spill_tagged("w/fill", s->bytes, 0);
	/* Of version 1 it says that the last write failed, which is not so. */
	if (try_sh("cd w && qemu-img convert -q -c -f raw -O %s %s %s fill img 2>/dev/null",
		   s->format, s->options ? "-o" : "", s->options ? s->options : "") &&
	    s->options)
		fatal("convert -c");
}

/* The backing file is a bit shorter than the disk. */
static inline void make_backed(const struct scenario *s)
{
	spill_tagged("w/base.raw", s->bytes - 5000, 0);
	sh("cd w && qemu-img create -q -f %s -b base.raw -F raw %s %s img %" PRIu64, s->format,
	   s->options ? "-o" : "", s->options ? s->options : "", s->bytes);
}

static inline qc_err rig_key(void *arg, const char *path, unsigned int attempt, void *buf,
			     size_t room, size_t *len)
{
	(void)arg;
	(void)path;
	*len = min_u64(room, strlen(PASSPHRASE));
	memcpy(buf, PASSPHRASE, *len);
	return attempt ? -ENOENT : 0;
}

static inline struct qc_context *rig_context(const struct scenario *s)
{
	struct qc_config config = { .locking = QC_LOCKING_OFF, .refs = QC_REFS_ANY,
				    .cache_bytes = s->cache_bytes,
				    .key = s->encrypted ? rig_key : NULL };

	return context_of(&config);
}

static inline void rig_begin(const struct scenario *s)
{
	const char *const *path;

	rig.s = s;
	sh("rm -rf w && mkdir w");
	s->make(s);
	sh("rm -rf template && cp -a w template");
	rig_know(s);
	for (int i = 0; i < rig_files(&path); i++) {
		size_t n;
		uint8_t *bytes = slurp(path[i], &n);

		disk_resize(&rig.start[i], 0);
		disk_resize(&rig.start[i], n);
		memcpy(rig.start[i].bytes, bytes, n);
		free(bytes);
	}
	for (int i = 0; i < SLOTS; i++)
		sh("rm -rf c%d && mkdir c%d && for f in w/base*; do "
		   "[ ! -e $f ] || ln $f c%d/; done", i, i, i);
}

static inline void rig_end(void)
{
	free(rig.value);
	free(rig.change);
	free(rig.last);
	free(rig.flush);
	free(rig.snapshot);
	for (int i = 0; i < REC_FILES; i++)
		free(rig.start[i].bytes);
	rec_clear();
	memset((char *)&rig + sizeof(rig.s) + sizeof(rig.seed), 0,
	       sizeof(rig) - sizeof(rig.s) - sizeof(rig.seed));
	pthread_mutex_init(&rig.lock, NULL);
}

/* Restores the state before the first request, for another run. */
static inline void rig_again(void)
{
	sh("rm -rf w && cp -a template w");
	rig.changes = rig.sectors;
	rig.values = rig.sectors;
	rig.flushes = 0;
	rig.errors = 0;
	rig.sizes = 1;
	for (uint32_t i = 0; i < rig.sectors; i++) {
		rig.change[i].next = 0;
		rig.last[i] = i + 1;
	}
}

/* ---- looking at an image --------------------------------------------------------- */

static inline void complain(const char *what)
{
	rig.bad++;
	tap_failed++;
	if (rig.bad <= 5)
		printf("# %s: %s\n", rig.s->name, what);
}

/* The change that the sector has at least.  A part that was written on top of what
 * may be there or not does not say all of it. */
static inline size_t first_change(uint32_t sector, size_t floor)
{
	size_t first = sector;
	bool known = true;

	for (size_t i = rig.change[sector].next; i && i < floor; i = rig.change[i].next) {
		const struct change *c = &rig.change[i];

		known = !c->maybe && (known || !c->part);
		if (known)
			first = i;
	}
	return first;
}

static inline bool is_among(size_t first, size_t at, const uint8_t *got, size_t a, size_t n)
{
	size_t i = first;

	do {
		const struct change *c = &rig.change[i];

		if (i >= rig.sectors && c->at > at)
			break;
		if (!memcmp(got, rig.value[c->value] + a, n))
			return true;
		i = c->next;
	} while (i);
	return false;
}

static inline bool may_read(uint32_t sector, const uint8_t *got, size_t at, size_t floor)
{
	size_t first = first_change(sector, floor);
	bool parts = false;

	if (is_among(first, at, got, 0, REC_SECTOR))
		return true;
	for (size_t i = first; i; i = rig.change[i].next)
		parts = parts || rig.change[i].part || rig.change[i].maybe;
	for (size_t i = 0; parts && i < REC_SECTOR; i++)
		parts = is_among(first, at, got + i, i, 1);
	return parts;
}

static inline bool may_be_size(uint64_t size, size_t at)
{
	bool ok = false;

	for (size_t i = 0; i < rig.sizes && rig.size[i].from <= at; i++)
		ok = rig.size[i].done <= at ? rig.size[i].size == size :
					      ok || rig.size[i].size == size;
	return ok;
}

static inline size_t flushed_changes(size_t at)
{
	size_t floor = rig.sectors;

	for (size_t i = 0; i < rig.flushes; i++)
		if (rig.flush[i].at <= at)
			floor = max_u64(floor, rig.flush[i].changes);
	return floor;
}

static inline void say_sector(uint32_t s, size_t at, size_t floor)
{
	char text[40];

	for (size_t i = first_change(s, floor); i && rig.bad <= 3; i = rig.change[i].next)
		printf("#   may be: %s%s%s\n", tag_of(rig.value[rig.change[i].value], text, 40),
		       rig.change[i].maybe ? ", not for certain" : "",
		       rig.change[i].at > at ? ", later" : "");
}

static inline bool sectors_are_good(const uint8_t *disk, uint64_t size, size_t at, size_t floor,
				    const char *how)
{
	char got[40], text[200];

	for (uint32_t s = 0; s < size / REC_SECTOR; s++) {
		if (may_read(s, disk + (uint64_t)s * REC_SECTOR, at, floor))
			continue;
		snprintf(text, sizeof(text), "%s: sector %u is: %s", how, s,
			 tag_of(disk + (uint64_t)s * REC_SECTOR, got, sizeof(got)));
		complain(text);
		say_sector(s, at, floor);
		return false;
	}
	return true;
}

static inline bool core_reads_it(const char *path, size_t at, const char *dir, bool sample)
{
	struct qc_context *ctx = rig_context(rig.s);
	struct qc_image *img;
	struct qc_reason why;
	bool good = false;
	uint8_t *disk;

	if (image_try(ctx, path, 0, &img, &why)) {
		complain(why.text);
		qc_context_free(ctx);
		return false;
	}
	disk = malloc(qc_size(img) + 1);
	if (rig.s->format[4] == '2' && !may_be_size(qc_size(img), at))
		complain("it has a size that it never had");
	else if (qc_read(img, 0, disk, qc_size(img)))
		complain("cannot be read");
	else
		good = sectors_are_good(disk, qc_size(img), at, flushed_changes(at), "core");
	if (good && rig_look)
		good = rig_look(img, at, dir, sample);
	free(disk);
	qc_close(img);
	qc_context_free(ctx);
	return good;
}

static inline bool qemu_reads_it(const char *dir, size_t at)
{
	size_t n;
	uint8_t *disk;
	bool good;

	sh("cd %s && qemu-img convert -q -U -O raw %s out.raw", dir, rig_image(rig.s));
	sh("mv %s/out.raw out.raw", dir);
	disk = slurp("out.raw", &n);
	good = sectors_are_good(disk, n, at, flushed_changes(at), "qemu");
	free(disk);
	if (!good || !rig.s->snapshot)
		return good;
	sh("cd %s && qemu-img convert -q -U -l one -O raw %s out.raw", dir, rig_image(rig.s));
	sh("mv %s/out.raw out.raw", dir);
	disk = slurp("out.raw", &n);
	good = !memcmp(disk, rig.snapshot, min_u64(n, rig.snapshot_bytes));
	if (!good)
		complain("the snapshot has changed");
	free(disk);
	return good;
}

static inline bool is_zero(const uint8_t *p, uint64_t n)
{
	return !n || (!*p && !memcmp(p, p + 1, n - 1));
}

/* A disk that is as small as it was ever to be grows again. */
static inline void grow_again(struct qc_image *img)
{
	uint64_t old = qc_size(img), most = rig.s->bytes;
	uint8_t *buf;

	if (!rig.s->shrinks || old >= most)
		return;
	buf = malloc(most - old);
	if (qc_resize(img, most) || qc_read(img, old, buf, most - old))
		complain("cannot grow after a crash");
	else if (!is_zero(buf, most - old))
		complain("what comes to light after a crash is not zeros");
	free(buf);
}

/* A later open can write. */
static inline bool takes_writes(const char *path)
{
	struct qc_context *ctx = rig_context(rig.s);
	uint8_t buf[3 * REC_SECTOR];
	struct qc_image *img;
	struct qc_reason why;
	unsigned int before = rig.bad;

	memset(buf, 0x5a, sizeof(buf));
	if (image_try(ctx, path, QC_OPEN_WRITE, &img, &why)) {
		complain(why.text);
	} else {
		grow_again(img);
		for (uint64_t i = 0; i < 64; i++)
			if (qc_write(img, i * (qc_size(img) / 64) / 512 * 512, buf,
				     min_u64(sizeof(buf), 512)))
				complain("cannot be written after a crash");
		qc_close(img);
	}
	qc_context_free(ctx);
	return rig.bad == before;
}

/* Written data reads back at once. */
static inline void see_own_changes(void)
{
	uint8_t *disk = malloc(qc_size(rig.img) + 1);

	if (!qc_read(rig.img, 0, disk, qc_size(rig.img)))
		sectors_are_good(disk, qc_size(rig.img), SIZE_MAX, rig.changes, "live");
	else if (!rec.failures)
		complain("cannot be read");
	free(disk);
}

/* Runs the steps.  What open said. */
static inline qc_err rig_run(struct rec_fault fault)
{
	const char *const *path;
	struct qc_reason why;
	int n = rig_files(&path);
	qc_err r;

	rig.ctx = rig_context(rig.s);
	rec_start(path, n, fault);
	r = rig.s->offline ? 0 : image_try(rig.ctx, "w/img", QC_OPEN_WRITE, &rig.img, &why);
	if (rig.s->offline) {
		rig.s->steps();
	} else if (!r) {
		rig.s->steps();
		see_own_changes();
		qc_close(rig.img);
	}
	rec_stop();
	context_end(rig.ctx);
	return r;
}

/* ---- one image after the other, each checked by QEMU beside the next ------------- */

static struct slot {
	pid_t pid;
	char dir[8];
	bool dirty; /* marked so: QEMU would repair it */
	char about[100];
} slots[SLOTS];

static inline void keep_slot(const struct slot *s)
{
	const char *keep = getenv("CRASH_KEEP");

	if (keep && rig.bad <= 5)
		sh("rm -rf %s/%s-%u && cp -a %s %s/%s-%u", keep, rig.s->name, rig.bad, s->dir,
		   keep, rig.s->name, rig.bad);
}

static inline void slot_wait(struct slot *s)
{
	char text[200];
	int status;

	if (!s->pid)
		return;
	waitpid(s->pid, &status, 0);
	s->pid = 0;
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3))
		return;
	snprintf(text, sizeof(text), "qemu-img check: %d (%s)", WEXITSTATUS(status), s->about);
	complain(text);
	if (rig.bad <= 5)
		try_sh("(grep ERROR %s/check; head -n 2 %s/check) | head -n 5 | sed 's/^/# /'",
		       s->dir, s->dir);
	keep_slot(s);
}

static inline void slot_check(struct slot *s)
{
	char command[300], out[] = "check";
	char *argv[] = { (char *)"sh", (char *)"-c", command, NULL };
	posix_spawn_file_actions_t a;

	if (!strcmp(rig.s->format, "qcow") || s->dirty)
		return;
	snprintf(command, sizeof(command), "exec qemu-img check -U %s", rig_image(rig.s));
	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_addchdir_np(&a, s->dir);
	posix_spawn_file_actions_addopen(&a, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&a, 1, 2);
	if (posix_spawnp(&s->pid, "sh", &a, NULL, argv, environ))
		fatal("sh");
	posix_spawn_file_actions_destroy(&a);
}

static inline void look_at(const struct disk *d, size_t at, const char *about)
{
	struct slot *s = &slots[rig.images % SLOTS];
	const char *const *name;
	char path[40];
	bool good;

	slot_wait(s);
	snprintf(s->dir, sizeof(s->dir), "c%u", rig.images % SLOTS);
	snprintf(s->about, sizeof(s->about), "%s", about);
	for (int i = 0; i < rig_files(&name); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->dir, name[i] + 2);
		spill(path, d[i].bytes, d[i].size);
	}
	if (rig_judge) {
		if (!rig_judge(s->dir, rig.images++ % SAMPLE == 0)) {
			printf("# at %s\n", about);
			keep_slot(s);
		}
		return;
	}
	snprintf(path, sizeof(path), "%s/img", s->dir);
	s->dirty = rig.s->dirty && d[0].bytes[79] & 1;
	slot_check(s);
	good = core_reads_it(path, at, s->dir, rig.images % SAMPLE == 2);
	if (good && (rig.images % SAMPLE == 0 || !strcmp(rig.s->format, "qcow")))
		good = qemu_reads_it(s->dir, at);
	if (good && (rig.images % SAMPLE == 1 || s->dirty)) {
		slot_wait(s);
		s->dirty = false;
		if (takes_writes(path))
			slot_check(s);
		else
			keep_slot(s);
	}
	if (!good) {
		printf("# at %s\n", about);
		keep_slot(s);
	}
	rig.images++;
}

static inline void slots_end(void)
{
	for (int i = 0; i < SLOTS; i++)
		slot_wait(&slots[i]);
}

/* ---- all that may be --------------------------------------------------------------- */

struct replay {
	struct disk safe[REC_FILES], now[REC_FILES];
	size_t *pending; /* operations that no sync has covered */
	size_t n, at;
	bool doomed; /* a sync failed */
};

/* Which of the pending operations: bit i of `which`, or at random. */
enum mode { NONE, ALL, SOME, TORN, ONE, BUT_ONE, PREFIX, MODES };

static inline void choose_pending(struct replay *p, enum mode mode, uint64_t bits, size_t last)
{
	size_t pick = p->n ? random_below(&rig.seed, p->n) : 0;
	char about[100];

	for (int i = 0; i < REC_FILES; i++)
		disk_copy(&p->now[i], &p->safe[i]);
	for (size_t k = 0; k < p->n; k++) {
		const struct rec_op *op = &rec.op[p->pending[k]];
		bool in = mode == ALL || (mode == ONE && k == pick) ||
			  (mode == BUT_ONE && k != pick) || (mode == PREFIX && k < pick) ||
			  ((mode == SOME || mode == TORN) && bits >> (k % 64) & 1);

		if (k % 64 == 63)
			bits = random_u64(&rig.seed);
		if (in && mode == TORN && random_u64(&rig.seed) & 1)
			disk_apply_torn(&p->now[op->file], op, &rig.seed);
		else if (in)
			disk_apply(&p->now[op->file], op, 0, op->len);
	}
	snprintf(about, sizeof(about), "operations %zu to %zu, %zu pending, mode %d, bits %" PRIx64,
		 p->at, last, p->n, (int)mode, bits);
	look_at(p->now, last, about);
}

/* A sync has ended: the operations before it are safe. */
static inline void commit(struct replay *p, size_t sync)
{
	const struct rec_op *s = &rec.op[sync];
	size_t left = 0;

	for (size_t k = 0; k < p->n; k++) {
		const struct rec_op *op = &rec.op[p->pending[k]];

		if (op->file != s->file || p->pending[k] >= s->covers)
			p->pending[left++] = p->pending[k];
		else if (!s->failed || random_u64(&rig.seed) & 1)
			disk_apply(&p->safe[op->file], op, 0, op->len);
	}
	p->n = left;
}

static inline size_t intervals(void)
{
	size_t n = 1;

	for (size_t i = 0; i < rec.n; i++)
		n += rec.op[i].kind == REC_SYNC;
	return n;
}

static inline void crash_here(struct replay *p, size_t last, double budget)
{
	uint64_t all = UINT64_C(1) << (p->n < 20 ? p->n : 20);
	uint64_t n = (uint64_t)budget +
		     ((double)(random_u64(&rig.seed) >> 40) / (1 << 24) <
		      budget - (double)(uint64_t)budget);

	if (p->n && p->n <= 6 && all <= n) {
		for (uint64_t bits = 0; bits < all; bits++)
			choose_pending(p, SOME, bits, last);
		n -= all;
	}
	for (uint64_t i = 0; p->n && i < n; i++)
		choose_pending(p, (enum mode)random_below(&rig.seed, MODES),
			       random_u64(&rig.seed), last);
	p->at = last;
}

/* Images of the log from operation `from` on; about `images` of them. */
static inline void rig_crash(size_t from, double images)
{
	struct replay p = { .pending = calloc(rec.n + 1, sizeof(size_t)) };
	double budget = images / (double)intervals();

	for (int i = 0; i < REC_FILES; i++)
		disk_copy(&p.safe[i], &rig.start[i]);
	for (size_t i = 0; i <= rec.n; i++) {
		if (i < rec.n && rec.op[i].kind != REC_SYNC) {
			p.pending[p.n++] = i;
			continue;
		}
		if (i >= from)
			crash_here(&p, i, budget);
		if (i < rec.n)
			commit(&p, i);
	}
	choose_pending(&p, ALL, 0, rec.n + 1);
	slots_end();
	for (int i = 0; i < REC_FILES; i++) {
		free(p.safe[i].bytes);
		free(p.now[i].bytes);
	}
	free(p.pending);
}

/* ---- a whole scenario ------------------------------------------------------------- */

static inline unsigned int env_number(const char *name, unsigned int otherwise)
{
	const char *v = getenv(name);

	return v && *v ? (unsigned int)atoi(v) : otherwise;
}

static inline void check_clean(void)
{
	if (strcmp(rig.s->format, "qcow"))
		CHECK(!try_sh("cd w && qemu-img check -q %s >out 2>&1 || "
			      "{ head -5 out | sed 's/^/# /'; false; }", rig_image(rig.s)));
}

/* With so many images, unless the user says how many. */
static inline void crash_scenario_of(const struct scenario *s, unsigned int images)
{
	int before = tap_failed;

	rig_begin(s);
	CHECK(!rig_run((struct rec_fault){ 0 }));
	CHECK(!rig.errors);
	check_clean();
	rig_crash(0, env_number("CRASH_IMAGES", images));
	printf("%s - %s: %zu operations, %zu intervals, %u images, %u bad\n",
	       tap_failed == before ? "ok" : "not ok", s->name, rec.n, intervals(), rig.images,
	       rig.bad);
	fflush(stdout);
	rig_end();
}

static inline void crash_scenario(const struct scenario *s)
{
	crash_scenario_of(s, is_long() ? 80 : is_sanitized() ? 15 : 40);
}

static inline bool is_chosen(const struct scenario *s)
{
	const char *only = getenv("CRASH_ONLY");

	if (only && !strstr(s->name, only))
		return false;
	return !s->rare || is_long() || getenv("CRASH_IMAGES") || getenv("FAULT_RUNS");
}

/* The rest of main(): runs all scenarios, or the chosen ones. */
static inline int run_scenarios(const struct scenario *s, size_t n,
				void (*run)(const struct scenario *))
{
	begin();
	rig.seed = random_seed();
	for (size_t i = 0; i < n; i++)
		if (is_chosen(&s[i]))
			run(&s[i]);
	return DONE();
}

#endif
