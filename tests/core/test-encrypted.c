/* SPDX-License-Identifier: MIT */
/* Encrypted images with their keys, with other ones and with none; and readers and
 * writers of one sector. */
#include "job.h"

#define SECRET "--object secret,id=s,data=letmein "

static struct logbook book = LOGBOOK;
static struct qc_context *locked, *ctx; /* without keys, and with them */

/* ---- keys --------------------------------------------------------------------- */

static struct {
	const char *pass[4]; /* one after the other */
	qc_err error;	     /* instead of the first */
	unsigned int asked;
	char path[600]; /* of the last */
} keys;

static qc_err give_key(void *arg, const char *path, unsigned int attempt, void *buf, size_t room,
		       size_t *len)
{
	(void)arg;
	keys.asked++;
	snprintf(keys.path, sizeof(keys.path), "%s", path);
	if (keys.error)
		return keys.error;
	if (attempt >= COUNT(keys.pass) || !keys.pass[attempt])
		return -ENOENT;
	CHECK(room == QC_KEY_MAX);
	*len = strlen(keys.pass[attempt]);
	memcpy(buf, keys.pass[attempt], *len);
	return 0;
}

static void set_keys(const char *a, const char *b)
{
	memset(&keys, 0, sizeof(keys));
	keys.pass[0] = a;
	keys.pass[1] = b;
}

/* ---- images ------------------------------------------------------------------- */

static const char *format_of(const char *options)
{
	return strstr(options, "-f qcow2") ? "qcow2" : "qcow";
}

/* QEMU takes seconds to measure its processor for LUKS, and gives up if that is
 * busy: each is made once. */
static void make_original(const char *name, const char *options)
{
	for (int i = 0; try_sh("qemu-img create -q " SECRET "%s,encrypt.key-secret=s %s 1M 2>/dev/null",
			       options, name); i++)
		if (i == 20)
			fatal("qemu-img create");
	sh("qemu-io -t unsafe " SECRET "-c 'write -P 7 0 128k' --image-opts"
	   " driver=%s,encrypt.key-secret=s,file.filename=%s >/dev/null", format_of(options), name);
}

static void make(const char *name, const char *options)
{
	char original[200];
	size_t n = 0;

	for (const char *c = options; *c && n < sizeof(original) - 2; c++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789", *c))
			original[n++] = *c;
	original[n] = 0;
	if (access(original, F_OK))
		make_original(original, options);
	sh("cp %s %s", original, name);
}

#define LUKS "-f qcow2 -o encrypt.format=luks,encrypt.iter-time=10"

/* Whether QEMU reads so many bytes of the value there. */
static bool qemu_sees(const char *name, const char *format, uint8_t byte, uint64_t off,
		      uint64_t len)
{
	return !try_sh("qemu-io -r " SECRET "-c 'read -q -P %d %llu %llu' --image-opts"
		       " driver=%s,encrypt.key-secret=s,file.filename=%s >out 2>&1; test ! -s out",
		       byte, (unsigned long long)off, (unsigned long long)len, format, name);
}

static bool sound(const char *name)
{
	return !try_sh("qemu-img check -q " SECRET "--image-opts"
		       " driver=qcow2,encrypt.key-secret=s,file.filename=%s", name);
}

static const char *const all[][2] = {
	{ "aes", "qcow2" }, { "luks", "qcow2" }, { "old", "qcow" },
};

static void without_a_key(void)
{
	make("aes", "-f qcow2 -o encrypt.format=aes");
	make("luks", LUKS);
	make("old", "-f qcow -o encrypt.format=aes");
	CHECK(image_refused(locked, "aes", -EACCES, QC_CAUSE_KEY, "encrypted (AES), and there is no"));
	CHECK(image_refused(locked, "luks", -EACCES, QC_CAUSE_KEY, "encrypted (LUKS), and there"));
	CHECK(image_refused(locked, "old", -EACCES, QC_CAUSE_KEY, "encrypted (AES)"));
	CHECK(counters(locked).layers_open == 0);
}

static void with_its_key(void)
{
	for (size_t i = 0; i < COUNT(all); i++) {
		struct qc_image *img;

		set_keys("letmein", NULL);
		img = image_open(ctx, all[i][0]);
		CHECK(keys.asked == 1 && strstr(keys.path, all[i][0]) && *keys.path == '/');
		CHECK(reads_byte(img, 0, 128 * K, 7) && reads_byte(img, 128 * K, M - 128 * K, 0));
		CHECK(reads_byte(img, 1, 510, 7) && reads_byte(img, 511, 2, 7));
		CHECK(reads_byte(img, 1023, 1026, 7) && reads_byte(img, 128 * K - 1, 1, 7));
		qc_close(img);
	}
}

static void with_other_keys(void)
{
	struct qc_image *img;

	set_keys("letmeout", NULL);
	CHECK(image_refused(ctx, "luks", -EACCES, QC_CAUSE_KEY, "the key does not fit"));
	CHECK(keys.asked == 2);
	set_keys("letmein\n", NULL);
	CHECK(image_refused(ctx, "luks", -EACCES, QC_CAUSE_KEY, "ends with a newline"));
	set_keys("", NULL);
	CHECK(image_refused(ctx, "luks", -EACCES, QC_CAUSE_KEY, "the key does not fit"));
	set_keys(NULL, NULL);
	CHECK(image_refused(ctx, "luks", -EACCES, QC_CAUSE_KEY, "there is no key"));
	keys.error = -EPERM;
	CHECK(image_refused(ctx, "luks", -EACCES, QC_CAUSE_KEY, "its key cannot be read: Operation"));
	set_keys("letmeout", "letmein");
	img = image_open(ctx, "luks");
	CHECK(keys.asked == 2 && reads_byte(img, 0, 128 * K, 7));
	qc_close(img);
	/* A wrong key cannot be detected: reads return noise. */
	set_keys("letmeout", "letmein");
	img = image_open(ctx, "aes");
	CHECK(keys.asked == 1 && !reads_byte(img, 0, 512, 7) && reads_byte(img, 128 * K, 512, 0));
	qc_close(img);
	CHECK(counters(ctx).layers_open == 0);
}

/* A passphrase that was right once is still asked for. */
static void the_key_is_asked_for_each_time(void)
{
	for (int i = 0; i < 3; i++) {
		set_keys(i == 1 ? "letmeout" : "letmein", NULL);
		if (i == 1)
			CHECK(image_refused(ctx, "luks", -EACCES, QC_CAUSE_KEY, "does not fit"));
		else
			qc_close(image_open(ctx, "luks"));
		CHECK(keys.asked >= 1);
	}
}

/* Reading headers asks for no passphrase. */
static void a_look_needs_no_key(void)
{
	struct qc_image *img;
	struct qc_reason why;

	set_keys("letmein", NULL);
	CHECK(!image_try(ctx, "luks", QC_OPEN_HEADERS_ONLY, &img, &why));
	CHECK(qc_size(img) == M && !keys.asked);
	qc_close(img);
	CHECK(image_try(locked, "luks", QC_OPEN_HEADERS_ONLY, &img, &why) == -EACCES);
	CHECK(why.cause == QC_CAUSE_KEY);
}

/* ---- chains ------------------------------------------------------------------- */

static void an_encrypted_base(void)
{
	for (size_t i = 0; i < COUNT(all); i++) {
		struct qc_image *img;

		sh("rm -f top && qemu-img create -q -f qcow2 top 1M"
		   " && qemu-io -t unsafe -c 'write -P 3 0 64k' top >/dev/null"
		   " && qemu-img rebase -u -f qcow2 -b %s -F %s top", all[i][0], all[i][1]);
		CHECK(image_refused(locked, "top", -EACCES, QC_CAUSE_KEY, all[i][0]));
		set_keys("letmein", NULL);
		img = image_open(ctx, "top");
		CHECK(strstr(keys.path, all[i][0]));
		CHECK(reads_byte(img, 0, 64 * K, 3) && reads_byte(img, 64 * K, 64 * K, 7));
		CHECK(reads_byte(img, 128 * K, M - 128 * K, 0));
		qc_close(img);
		img = image_write(ctx, "top");
		CHECK(!fill(img, 70001, 3, 9) && reads_byte(img, 64 * K, 70001 - 64 * K, 7));
		CHECK(reads_byte(img, 70001, 3, 9) && reads_byte(img, 70004, 1000, 7));
		qc_close(img);
		CHECK(!try_sh("qemu-img check -q " SECRET "--image-opts driver=qcow2,"
			      "file.filename=top,backing.encrypt.key-secret=s"));
	}
	set_keys("letmeout", NULL);
	sh("qemu-img rebase -u -f qcow2 -b luks -F qcow2 top");
	CHECK(image_refused(ctx, "top", -EACCES, QC_CAUSE_KEY, "backing file"));
	CHECK(counters(ctx).layers_open == 0 && counters(locked).layers_open == 0);
}

/* ---- writing ------------------------------------------------------------------ */

static void writes_are_encrypted(void)
{
	static const char *const options[] = {
		LUKS, "-f qcow2 -o encrypt.format=aes", "-f qcow -o encrypt.format=aes",
		LUKS ",extended_l2=on", LUKS ",cluster_size=512",
	};

	for (size_t i = 0; i < COUNT(options); i++) {
		struct qc_image *img;

		make("image", options[i]);
		set_keys("letmein", NULL);
		img = image_write(ctx, "image");
		CHECK(!fill(img, 1000, 24, 0xa1));	      /* in place, at the end of a sector */
		CHECK(!fill(img, 2049, 1, 0xa2));	      /* one byte */
		CHECK(!fill(img, 300 * K + 5, 700, 0xa3));    /* into a hole */
		CHECK(!fill(img, M - 1, 1, 0xa4));	      /* the last */
		CHECK(!fill(img, 400 * K, 200 * K, 0xa5));
		CHECK(reads_byte(img, 999, 1, 7) && reads_byte(img, 1000, 24, 0xa1));
		CHECK(reads_byte(img, 1024, 1025, 7) && reads_byte(img, 2049, 1, 0xa2));
		CHECK(reads_byte(img, 2050, 2000, 7) && reads_byte(img, 300 * K, 5, 0));
		CHECK(reads_byte(img, 300 * K + 5, 700, 0xa3) && reads_byte(img, 300 * K + 705, 9999, 0));
		CHECK(reads_byte(img, 960 * K, 64 * K - 1, 0) && reads_byte(img, M - 1, 1, 0xa4));
		qc_close(img);
		CHECK(qemu_sees("image", format_of(options[i]), 0xa1, 1000, 24));
		CHECK(qemu_sees("image", format_of(options[i]), 7, 2050, 2000));
		CHECK(qemu_sees("image", format_of(options[i]), 0xa3, 300 * K + 5, 700));
		CHECK(qemu_sees("image", format_of(options[i]), 0, 300 * K + 705, 9999));
		CHECK(qemu_sees("image", format_of(options[i]), 0xa4, M - 1, 1));
		CHECK(qemu_sees("image", format_of(options[i]), 0xa5, 400 * K, 200 * K));
		if (!strcmp(format_of(options[i]), "qcow2"))
			CHECK(sound("image"));
		/* None of it is in the file as it is. */
		CHECK(try_sh("grep -q -a -P '\\xa5{32}' image"));
		qc_close(image_open(ctx, "image"));
	}
}

/* QEMU leaves the rest of it in clear, where it decrypts to garbage. */
static void part_of_a_compressed_cluster(void)
{
	static const struct {
		const char *options;
		uint64_t cluster;
	} t[] = {
		{ LUKS, 64 * K },
		{ "-f qcow -o encrypt.format=aes", 4 * K },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		const char *format = format_of(t[i].options);
		uint64_t n = t[i].cluster;
		struct qc_image *img;

		make("image", t[i].options);
		sh("qemu-io -t unsafe " SECRET "-c 'write -c -P 5 256k %d' --image-opts"
		   " driver=%s,encrypt.key-secret=s,file.filename=image >/dev/null", (int)n, format);
		set_keys("letmein", NULL);
		img = image_write(ctx, "image");
		CHECK(reads_byte(img, 256 * K, n, 5));
		CHECK(!fill(img, 257 * K + 1, 3, 6));
		CHECK(reads_byte(img, 256 * K, K + 1, 5) && reads_byte(img, 257 * K + 1, 3, 6));
		CHECK(reads_byte(img, 257 * K + 4, n - K - 4, 5));
		qc_close(img);
		CHECK(qemu_sees("image", format, 5, 257 * K + 4, n - K - 4));
		CHECK(qemu_sees("image", format, 6, 257 * K + 1, 3));
	}
}

/* Guest data would go over the header that holds the keys. */
static void the_luks_header_is_not_written_over(void)
{
	struct qc_image *img;

	make("image", LUKS);
	/* The entry of the first cluster: to the second of the LUKS header. */
	poke64("image", l2_at("image", 0), UINT64_C(1) << 63 | 0x50000);
	sh("cp image before");
	set_keys("letmein", NULL);
	img = image_write(ctx, "image");
	logbook_clear(&book);
	CHECK(fill(img, 0, 512, 1) == -EIO && logged(&book, "over metadata at 0x50000"));
	qc_close(img);
	CHECK(!try_sh("cmp -s -i 262144 -n 2068480 image before"));
}

/* The dirty bit, and wrong counts, among them those of the LUKS header. */
static void a_repair_counts_the_luks_header(void)
{
	struct qc_image *img;
	uint64_t block;

	make("image", LUKS);
	block = peek64("image", peek64("image", 48));
	poke("image", block + 2 * 4, "\0\0\0\0\0\0\0\0", 8); /* clusters 4 to 7 */
	poke64("image", 72, 1);
	set_keys("letmein", NULL);
	img = image_write(ctx, "image");
	CHECK(!fill(img, 512 * K, 128 * K, 9));
	qc_close(img);
	CHECK(sound("image") && qemu_sees("image", "qcow2", 7, 0, 128 * K) &&
	      qemu_sees("image", "qcow2", 9, 512 * K, 128 * K));
}

static void an_image_under_an_overlay_is_not_unlocked_twice(void)
{
	struct qc_image *a, *b;

	set_keys("letmein", NULL);
	a = image_open(ctx, "luks");
	b = image_open(ctx, "luks");
	CHECK(keys.asked == 1);
	qc_close(a);
	CHECK(reads_byte(b, 0, 128 * K, 7));
	qc_close(b);
}

/* ---- threads in one sector ------------------------------------------------------ */

#ifdef QC_FAILPOINTS
static struct qc_image *fresh(void)
{
	make("image", LUKS);
	set_keys("letmein", NULL);
	return image_write(ctx, "image");
}

/* Each has read the sector before it writes it. */
static void two_who_write_parts_of_a_sector(void)
{
	struct qc_image *img = fresh();
	struct job a = { .what = WRITE, .img = img, .off = 512, .len = 100, .byte = 1 };
	struct job b = { .what = WRITE, .img = img, .off = 700, .len = 100, .byte = 2 };

	CHECK(has_to_wait(&b, &a, "io.write"));
	CHECK(!a.r && !b.r);
	CHECK(reads_byte(img, 512, 100, 1) && reads_byte(img, 612, 88, 7));
	CHECK(reads_byte(img, 700, 100, 2) && reads_byte(img, 800, 224, 7));
	qc_close(img);
}

/* One has read the sector, and all of it is written before he writes it back. */
static void who_writes_all_of_a_sector_waits_for_who_writes_part(void)
{
	struct qc_image *img = fresh();
	struct job a = { .what = WRITE, .img = img, .off = 512, .len = 100, .byte = 1 };
	struct job b = { .what = WRITE, .img = img, .off = 0, .len = 4096, .byte = 2 };

	CHECK(has_to_wait(&b, &a, "io.write"));
	CHECK(!a.r && !b.r && reads_byte(img, 0, 4096, 2));
	qc_close(img);
}

static void a_reader_does_not_see_half_a_sector(void)
{
	struct qc_image *img = fresh();
	struct job a = { .what = WRITE, .img = img, .off = 0, .len = 4096, .byte = 1 };
	struct job b = { .what = READ, .img = img, .off = 512, .len = 512 };
	pthread_t t[2];

	t[0] = park(&a, "io.write");
	t[1] = start(run, &b);
	linger(&b);
	CHECK(!b.done);
	/* In other sectors no thread waits. */
	CHECK(reads_byte(img, 64 * K, 512, 7));
	qc_failpoint_resume("io.write");
	end(t[0]);
	end(t[1]);
	CHECK(!a.r && !b.r && b.uniform && b.byte == 1);
	qc_close(img);
}

/* While a key is made, which takes seconds, all else goes on. */
static void a_slow_unlock_holds_nobody_up(void)
{
	struct job a = { .what = OPEN, .ctx = ctx, .path = "other" }, b = a;
	struct qc_image *img;
	pthread_t t[2];

	make("other", LUKS);
	poke("other", 0x40000 + 168, "another", 7); /* its UUID: to us, another key */
	set_keys("letmein", NULL);
	img = image_open(ctx, "aes");
	t[0] = park(&a, "unlock.slot");
	CHECK(reads_byte(img, 0, 512, 7));
	qc_close(img);
	img = image_open(ctx, "luks");
	CHECK(reads_byte(img, 0, 512, 7));
	qc_close(img);
	t[1] = start(run, &b); /* another open of the same image waits for it */
	linger(&b);
	CHECK(!a.done && !b.done);
	qc_failpoint_resume("unlock.slot");
	end(t[0]);
	end(t[1]);
	CHECK(!a.r && !b.r && reads_byte(b.img, 0, 512, 7));
	qc_close(a.img);
	qc_close(b.img);
}

enum { STORM_THREADS = 6, STORM_TURNS = 1500, STORM_BYTES = 4096 };

static struct {
	struct qc_image *img;
	atomic_uint torn;
	uint64_t seed;
} storm;

/* Each sector is always all of one byte, from 1 to 9. */
static void *rage(void *arg)
{
	uint64_t seed = storm.seed + (uintptr_t)arg;
	uint8_t buf[STORM_BYTES];

	for (int i = 0; i < STORM_TURNS; i++) {
		uint64_t at = random_below(&seed, STORM_BYTES / 512) * 512;
		uint64_t len = 512 * (1 + random_below(&seed, (STORM_BYTES - at) / 512));

		if (random_below(&seed, 2)) {
			memset(buf, 1 + (int)random_below(&seed, 9), len);
			CHECK(!qc_write(storm.img, at, buf, len));
			continue;
		}
		CHECK(!qc_read(storm.img, at, buf, len));
		for (uint64_t k = 0; k < len; k++)
			if (buf[k] != buf[k / 512 * 512] || buf[k] < 1 || buf[k] > 9)
				atomic_fetch_add(&storm.torn, 1);
	}
	return NULL;
}

static void readers_and_writers_of_the_same_sectors(void)
{
	pthread_t t[STORM_THREADS];

	storm.img = fresh();
	storm.seed = random_seed();
	for (uintptr_t i = 0; i < STORM_THREADS; i++)
		t[i] = start(rage, (void *)i);
	for (int i = 0; i < STORM_THREADS; i++)
		end(t[i]);
	CHECK(!atomic_load(&storm.torn));
	qc_close(storm.img);
	CHECK(sound("image"));
}

/* Bytes of many, in one sector. */
static void *scatter(void *arg)
{
	uint8_t mine = (uint8_t)(uintptr_t)arg;

	for (int i = 0; i < 300; i++)
		for (uint64_t k = mine; k < 512; k += STORM_THREADS)
			CHECK(!qc_write(storm.img, k, &mine, 1));
	return NULL;
}

static void writers_of_bytes_of_one_sector(void)
{
	uint8_t buf[512];
	pthread_t t[STORM_THREADS];
	bool right = true;

	storm.img = fresh();
	for (uintptr_t i = 0; i < STORM_THREADS; i++)
		t[i] = start(scatter, (void *)i);
	for (int i = 0; i < STORM_THREADS; i++)
		end(t[i]);
	CHECK(!qc_read(storm.img, 0, buf, sizeof(buf)));
	for (size_t k = 0; k < 512; k++)
		right = right && buf[k] == k % STORM_THREADS;
	CHECK(right);
	qc_close(storm.img);
}
#endif

int main(void)
{
	struct qc_config config = { .log = logbook_fn, .log_arg = &book, .log_max = QC_LOG_WARN,
				    .key = give_key, .verify = QC_VERIFY_OFF };

	begin();
	locked = context_new(&book);
	ctx = context_of(&config);
	RUN(without_a_key);
	RUN(with_its_key);
	RUN(with_other_keys);
	RUN(the_key_is_asked_for_each_time);
	RUN(a_look_needs_no_key);
	RUN(an_encrypted_base);
	RUN(writes_are_encrypted);
	RUN(part_of_a_compressed_cluster);
	RUN(the_luks_header_is_not_written_over);
	RUN(a_repair_counts_the_luks_header);
	RUN(an_image_under_an_overlay_is_not_unlocked_twice);
#ifdef QC_FAILPOINTS
	RUN(two_who_write_parts_of_a_sector);
	RUN(who_writes_all_of_a_sector_waits_for_who_writes_part);
	RUN(a_reader_does_not_see_half_a_sector);
	RUN(a_slow_unlock_holds_nobody_up);
	RUN(readers_and_writers_of_the_same_sectors);
	RUN(writers_of_bytes_of_one_sector);
#endif
	context_end(ctx);
	context_end(locked);
	return DONE();
}
