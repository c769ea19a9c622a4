/* SPDX-License-Identifier: MIT */
/*
 * qc_check() counts as qemu-img check does, repairs, and changes no byte of the guest.
 *
 * sanitize: address
 */
#include "write.h"

static struct logbook book = LOGBOOK;
static struct qc_context *ctx;

/* ---- both checks --------------------------------------------------------------- */

struct tally {
	unsigned int of[QC_FINDING_INVALID_TABLE + 1];
	struct qc_finding last;
};

static void add_to_tally(void *arg, const struct qc_finding *f)
{
	struct tally *t = arg;

	t->of[f->kind]++;
	t->last = *f;
}

static qc_err check_flags(const char *path, unsigned int flags, struct tally *t,
			  struct qc_check_result *out)
{
	struct qc_image_location src = { .dir = tempdir, .name = path };
	struct qc_reason why = { .text = "" };
	qc_err r;

	memset(t, 0, sizeof(*t));
	src.fd = open(path, O_RDONLY | O_CLOEXEC);
	src.dirfd = open(tempdir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (src.fd < 0 || src.dirfd < 0)
		fatal(path);
	r = qc_check(ctx, &src, flags, add_to_tally, t, out, &why);
	close(src.fd);
	close(src.dirfd);
	if (r)
		printf("# %s: %d %s\n", path, r, why.text);
	return r;
}

/* The number behind a key of qemu-img's JSON; 0: it has no such key. */
static uint64_t number_of(const char *json, const char *key)
{
	const char *at = strstr(json, key);

	return at ? strtoull(at + strlen(key) + 2, NULL, 10) : 0;
}

static const char *image_of = "image";

static bool counts_as_qemu(void)
{
	struct qc_check_result r;
	struct tally t;
	size_t n;
	char *json;
	bool same = true;

	if (try_sh("qemu-img check --output=json %s >check.json 2>check.err", image_of) < 0)
		fatal("qemu-img");
	json = (char *)slurp("check.json", &n);
	json[n] = 0;
	if (check_flags("image", 0, &t, &r))
		return false;
	{
		const struct {
			const char *key;
			uint64_t ours;
		} pairs[] = {
			{ "\"corruptions\"", r.corruptions },
			{ "\"leaks\"", r.leaks },
			{ "\"image-end-offset\"", r.image_end_offset },
			{ "\"total-clusters\"", r.total_clusters },
			{ "\"allocated-clusters\"", r.allocated_clusters },
			{ "\"fragmented-clusters\"", r.fragmented_clusters },
			{ "\"compressed-clusters\"", r.compressed_clusters },
		};

		for (size_t i = 0; i < COUNT(pairs); i++) {
			uint64_t theirs = number_of(json, pairs[i].key);

			if (theirs == pairs[i].ours)
				continue;
			printf("# %s: %lu, but QEMU says %lu\n", pairs[i].key,
			       (unsigned long)pairs[i].ours, (unsigned long)theirs);
			same = false;
		}
	}
	free(json);
	return same;
}

/* ---- images --------------------------------------------------------------------- */

static uint64_t l2_table(void)
{
	return peek64("image", peek64("image", 40)) & UINT64_C(0xfffffffffffe00);
}

static uint64_t refcount_block(void)
{
	return peek64("image", peek64("image", 48));
}

static void poke16(uint64_t off, uint16_t v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	poke("image", off, b, 2);
}

static void fresh(const char *options)
{
	image_of = "image";
	sh("rm -f image image.data && qemu-img create -q -f qcow2 -o %s image 8M &&"
	   " qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 1M' -c 'write -P 2 3M 192k'"
	   " -c 'write -P 3 2M 64k' -c 'write -z 1M 256k' image >/dev/null", options);
	logbook_clear(&book);
}

static const char *const plain[] = {
	"compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=4k", "cluster_size=2M",
	"refcount_bits=1", "refcount_bits=2", "refcount_bits=8", "refcount_bits=64",
	"extended_l2=on", "extended_l2=on,cluster_size=16k", "lazy_refcounts=on",
	"data_file=image.data", "data_file=image.data,data_file_raw=on",
	"preallocation=metadata", "preallocation=metadata,extended_l2=on",
};

static void sound_images(void)
{
	for (size_t i = 0; i < COUNT(plain); i++) {
		struct qc_check_result r;
		struct tally t;

		fresh(plain[i]);
		CHECK(counts_as_qemu());
		CHECK(!check_flags("image", 0, &t, &r) && !r.corruptions && !r.leaks);
	}
}

static void sound_images_with_more(void)
{
	static const char *const more[] = {
		"qemu-img snapshot -c one image && qemu-io -t unsafe -c 'write -P 5 0 300k' image",
		"qemu-img snapshot -c one image && qemu-img snapshot -c two image &&"
		" qemu-img snapshot -d one image",
		"qemu-img bitmap --add image b0",
		"qemu-img bitmap --add image b0 && qemu-io -c 'write -P 6 5M 1M' image &&"
		" qemu-img bitmap --add -g 64k image b1 && qemu-io -c 'write -P 7 6M 1M' image",
		"qemu-img resize -q image 20G",
		"qemu-img convert -q -c -O qcow2 image c && mv c image",
		"qemu-img convert -q -c -O qcow2 -o cluster_size=512 image c && mv c image",
		"qemu-img convert -q -c -O qcow2 -o extended_l2=on image c && mv c image &&"
		" qemu-io -c 'write -P 8 100k 2k' image",
		"qemu-img convert -q -c -O qcow2 -o compression_type=zstd image c && mv c image &&"
		" qemu-io -c 'discard 0 1M' image",
	};

	for (size_t i = 0; i < COUNT(more); i++) {
		fresh("compat=1.1");
		sh("(%s) >/dev/null", more[i]);
		CHECK(counts_as_qemu());
	}
}

static void encrypted_images(void)
{
	sh("rm -f image && qemu-img create -q -f qcow2 --object secret,id=s,data=secret"
	   " -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 image 4M &&"
	   " qemu-io -t unsafe --object secret,id=s,data=secret -c 'write -P 1 0 1M' --image-opts"
	   " driver=qcow2,file.filename=image,encrypt.key-secret=s >/dev/null");
	image_of = "--object secret,id=s,data=secret --image-opts"
		   " driver=qcow2,file.filename=image,encrypt.key-secret=s";
	CHECK(counts_as_qemu());
}

/* ---- faults ------------------------------------------------------------------------ */

#define COPIED (UINT64_C(1) << 63)

static void flip(uint64_t at, uint64_t bits)
{
	poke64("image", at, peek64("image", at) ^ bits);
}

/* One fault each, of an image with clusters of 64 KiB, refcounts of 16 bits and a snapshot. */
static void leaked_cluster(void)
{
	poke16(refcount_block() + 2 * 9, 7);
}

static void free_cluster_in_use(void)
{
	poke16(refcount_block() + 2 * 6, 0);
}

static void free_l2_table(void)
{
	poke16(refcount_block() + l2_table() / 65536 * 2, 0);
}

static void copied_is_missing(void)
{
	flip(l2_table(), COPIED);
}

static void copied_is_missing_in_l1(void)
{
	flip(peek64("image", 40), COPIED);
}

static void copied_of_a_shared_cluster(void)
{
	flip(l2_table() + 8 * 48, COPIED);
}

static void reserved_bit(void)
{
	flip(l2_table() + 8, UINT64_C(1) << 57);
}

static void reserved_bit_in_l1(void)
{
	flip(peek64("image", 40), UINT64_C(1) << 57);
}

static void unaligned_entry(void)
{
	flip(l2_table() + 8, 512);
}

static void unaligned_zero_entry(void)
{
	flip(l2_table() + 8, 513);
}

static void entry_beyond_the_end(void)
{
	poke64("image", l2_table() + 8 * 60, COPIED | 1 << 30);
}

static void l1_beyond_the_end(void)
{
	flip(peek64("image", 40), UINT64_C(1) << 40);
}

static void dirty_bit(void)
{
	poke64("image", 72, 1);
}

static void corrupt_bit(void)
{
	poke64("image", 72, 2);
}

static void two_entries_on_one(void)
{
	poke64("image", l2_table() + 8 * 60, peek64("image", l2_table()));
}

static void entry_on_a_table(void)
{
	poke64("image", l2_table() + 8 * 60, COPIED | l2_table());
}

static void compressed_with_copied(void)
{
	poke64("image", l2_table() + 8 * 60, COPIED | UINT64_C(1) << 62 | 5 * 65536);
}

static void refcount_block_beyond_the_end(void)
{
	poke64("image", peek64("image", 48) + 8, UINT64_C(1) << 40);
}

struct fault {
	const char *name;
	void (*make)(void);
	unsigned int kinds; /* that are found, and no other */
	bool as_qemu;	    /* QEMU counts the same */
	bool stays;	    /* no repair is possible without a loss */
};

#define F(fault, ...) { #fault, fault, __VA_ARGS__ }
#define LEAK (1u << QC_FINDING_LEAK)
#define LOW (1u << QC_FINDING_REFCOUNT_LOW)
#define FLAG (1u << QC_FINDING_COPIED)
#define ENTRY (1u << QC_FINDING_INVALID_ENTRY)
#define END (1u << QC_FINDING_BEYOND_END)
#define OVERLAP (1u << QC_FINDING_OVERLAP)

static const struct fault faults[] = {
	F(leaked_cluster, LEAK | FLAG, true, false),
	F(free_cluster_in_use, LOW | FLAG, true, false),
	F(free_l2_table, LOW | FLAG, true, false),
	F(copied_is_missing, FLAG, true, false),
	F(copied_is_missing_in_l1, FLAG, true, false),
	F(copied_of_a_shared_cluster, FLAG, true, false),
	F(reserved_bit, ENTRY, true, true),
	F(reserved_bit_in_l1, ENTRY, true, true),
	F(unaligned_entry, ENTRY | LOW | LEAK, false, true),
	F(unaligned_zero_entry, ENTRY | LOW | LEAK, false, true),
	F(entry_beyond_the_end, END | FLAG, true, true),
	F(l1_beyond_the_end, END | FLAG | LEAK, false, true),
	F(dirty_bit, 0, true, false),
	F(corrupt_bit, 0, true, false),
	F(two_entries_on_one, LOW, true, false),
	F(entry_on_a_table, LOW, true, true),
	F(compressed_with_copied, ENTRY | LOW | OVERLAP, false, true),
	F(refcount_block_beyond_the_end, END, true, false),
};

/* Clusters 5 to 20: guest offset 0 to 1M; the snapshot shares those from 3M on. */
static void with_fault(const struct fault *f)
{
	fresh("compat=1.1");
	sh("qemu-img snapshot -c one image && qemu-io -t unsafe -f qcow2 -c 'write -P 4 0 1M' image"
	   " >/dev/null");
	f->make();
}

static bool finds(const struct fault *f)
{
	struct qc_check_result r;
	unsigned int kinds = 0;
	struct tally t;

	if (check_flags("image", 0, &t, &r))
		return false;
	for (unsigned int k = 0; k < COUNT(t.of); k++)
		kinds |= t.of[k] ? 1u << k : 0;
	if (kinds & ~f->kinds || (f->kinds && !kinds))
		printf("# %s: found the kinds 0x%x, of 0x%x\n", f->name, kinds, f->kinds);
	return !(kinds & ~f->kinds) && (!f->kinds || kinds) &&
	       (r.corruptions || r.leaks) == (f->kinds != 0);
}

static void each_fault_is_found(void)
{
	for (size_t i = 0; i < COUNT(faults); i++) {
		with_fault(&faults[i]);
		sh("cp image before");
		CHECK(finds(&faults[i]));
		if (faults[i].as_qemu && !counts_as_qemu())
			CHECK(!faults[i].name);
		sh("cmp before image");
	}
}

static bool disk_is(const char *reference)
{
	return !try_sh("qemu-img convert -q -f qcow2 -O raw image now 2>/dev/null && cmp now %s",
		       reference);
}

static void each_fault_is_repaired(void)
{
	for (size_t i = 0; i < COUNT(faults); i++) {
		const struct fault *f = &faults[i];
		struct qc_check_result r;
		struct tally t;

		with_fault(f);
		sh("cp image before");
		if (!f->stays)
			sh("qemu-img convert -q -f qcow2 -O raw image reference");
		CHECK(!check_flags("image", QC_CHECK_FIX_ALL, &t, &r));
		if (!f->stays && (r.corruptions || r.leaks || !is_sound("image"))) {
			printf("# %s: %lu corruptions, %lu leaks stay (%d)\n", f->name,
			       (unsigned long)r.corruptions, (unsigned long)r.leaks, r.repair_error);
			CHECK(!f->name);
		}
		CHECK(f->stays || (!r.dirty && !r.corrupt && disk_is("reference")));
		CHECK(f->stays || !(peek64("image", 72) & 3));
		CHECK(!f->stays || r.corruptions);
		CHECK(!r.repair_error || !try_sh("cmp before image"));
	}
}

static void leaks_alone_are_repaired(void)
{
	struct qc_check_result r;
	struct tally t;

	fresh("compat=1.1");
	poke16(refcount_block() + 2 * 200, 1);
	sh("truncate -s 20M image");
	poke64("image", 72, 1);
	CHECK(!check_flags("image", QC_CHECK_FIX_LEAKS, &t, &r));
	CHECK(r.leaks_fixed == 1 && !r.leaks && !r.corruptions && !r.dirty && is_sound("image"));
	with_fault(&faults[1]);
	poke16(refcount_block() + 2 * 60, 1);
	CHECK(!check_flags("image", QC_CHECK_FIX_LEAKS, &t, &r));
	CHECK(r.corruptions && !r.corruptions_fixed && !r.leaks);
}

static void findings_say_where(void)
{
	struct qc_check_result r;
	struct tally t;

	fresh("compat=1.1");
	flip(l2_table() + 8 * 3, UINT64_C(1) << 57);
	CHECK(!check_flags("image", 0, &t, &r) && r.corruptions == 1);
	CHECK(t.last.kind == QC_FINDING_INVALID_ENTRY && !strcmp(t.last.table, "L2 table"));
	CHECK(t.last.table_offset == l2_table() && t.last.index == 3);
	CHECK(t.last.guest_offset == 3 * 64 * K && t.last.host_offset == 8 * 64 * K);
	fresh("compat=1.1");
	poke16(refcount_block() + 2 * 6, 0);
	CHECK(!check_flags("image", 0, &t, &r) && t.of[QC_FINDING_REFCOUNT_LOW] == 1);
	fresh("compat=1.1");
	poke16(refcount_block() + 2 * 2, 3);
	CHECK(!check_flags("image", 0, &t, &r) && r.leaks == 1);
	CHECK(t.last.host_offset == 2 * 64 * K && t.last.refcount == 3 && t.last.references == 1);
	CHECK(t.last.is_leak && t.last.guest_offset == QC_NO_OFFSET);
}

/* A finding about a cluster names an entry that references it. */
static void findings_name_an_entry(void)
{
	struct qc_check_result r;
	struct tally t;

	fresh("compat=1.1");
	poke16(refcount_block() + 2 * 6, 2);
	flip(l2_table() + 8 * 1, COPIED);
	CHECK(!check_flags("image", 0, &t, &r) && r.leaks == 1 && !r.corruptions);
	CHECK(t.last.kind == QC_FINDING_LEAK && t.last.references == 1);
	CHECK(t.last.guest_offset == 64 * K && !strcmp(t.last.table, "L2 table"));
	CHECK(t.last.table_offset == l2_table() && t.last.index == 1);
	fresh("compat=1.1");
	poke16(refcount_block() + l2_table() / 65536 * 2, 2);
	flip(peek64("image", 40), COPIED);
	CHECK(!check_flags("image", 0, &t, &r) && r.leaks == 1 && !r.corruptions);
	CHECK(!strcmp(t.last.table, "L1 table") && t.last.table_offset == peek64("image", 40));
	CHECK(t.last.host_offset == l2_table() && t.last.index == 0);
}

/* Compressed clusters share host clusters, and may share the sector in which one ends. */
static void compressed_clusters_that_overlap(void)
{
	static const char *const how[] = {
		"cluster_size=64k", "cluster_size=4k", "cluster_size=2k",
		"compression_type=zstd", "extended_l2=on", "compat=0.10",
	};

	for (size_t i = 0; i < COUNT(how); i++) {
		struct qc_check_result r;
		struct tally t;
		uint64_t a, b, width = strstr(how[i], "extended") ? 16 : 8;

		sh("head -c 3000000 /dev/urandom | base64 >raw && truncate -s 4M raw && rm -f image &&"
		   " qemu-img convert -c -O qcow2 -o %s raw image && qemu-img snapshot -c one image",
		   how[i]);
		CHECK(counts_as_qemu());
		CHECK(!check_flags("image", 0, &t, &r) && !r.corruptions && !r.leaks);
		a = peek64("image", l2_table());
		b = peek64("image", l2_table() + width);
		CHECK(a >> 62 == 1 && b >> 62 == 1);
		/* The second one begins in the middle of the first one. */
		poke64("image", l2_table() + width, (a & ~UINT64_C(0xffff)) | ((a & 0xffff) + 100));
		CHECK(!check_flags("image", 0, &t, &r) && t.of[QC_FINDING_OVERLAP] >= 1);
		/* One that is equal shares the data. */
		poke64("image", l2_table() + width, a);
		CHECK(!check_flags("image", 0, &t, &r) && !t.of[QC_FINDING_OVERLAP]);
	}
}

static void version_1(void)
{
	struct qc_check_result r;
	struct tally t;
	uint64_t l2;

	sh("rm -f image && qemu-img create -q -f qcow image 4M &&"
	   " qemu-io -t unsafe -f qcow -c 'write -P 1 0 1M' image >/dev/null");
	CHECK(!check_flags("image", 0, &t, &r) && !r.corruptions && !r.leaks);
	CHECK(r.allocated_clusters == 256 && r.total_clusters == 1024);
	l2 = peek64("image", peek64("image", 40));
	poke64("image", l2 + 8 * 500, peek64("image", l2));
	CHECK(!check_flags("image", QC_CHECK_FIX_ALL, &t, &r) && r.corruptions);
	CHECK(t.of[QC_FINDING_OVERLAP] == 8 && !r.corruptions_fixed); /* sectors */
	poke64("image", l2 + 8 * 500, UINT64_C(1) << 40);
	CHECK(!check_flags("image", 0, &t, &r) && t.of[QC_FINDING_BEYOND_END] == 1);
	sh("qemu-img convert -c -O qcow raw image 2>/dev/null; test -s image");
	CHECK(!check_flags("image", 0, &t, &r) && !r.corruptions && r.compressed_clusters);
	l2 = peek64("image", peek64("image", 40));
	poke64("image", l2 + 8, peek64("image", l2) + 10);
	CHECK(!check_flags("image", 0, &t, &r) && r.corruptions == 1);
	CHECK(t.of[QC_FINDING_OVERLAP] == 1 && t.last.guest_offset == t.last.index * 4096);
}

static void images_in_use(void)
{
	struct qc_check_result r;
	struct qc_image *img;
	struct tally t;

	fresh("compat=1.1");
	poke16(refcount_block() + 2 * 2, 3);
	img = image_open(ctx, "image");
	CHECK(!check_flags("image", 0, &t, &r) && r.leaks == 1);
	CHECK(check_flags("image", QC_CHECK_FIX_LEAKS, &t, &r) == -EBUSY);
	qc_close(img);
	img = image_write(ctx, "image");
	CHECK(check_flags("image", 0, &t, &r) == -EBUSY);
	qc_close(img);
	CHECK(!check_flags("image", QC_CHECK_FIX_LEAKS, &t, &r) && r.leaks_fixed == 1);
	sh("head -c 65536 /dev/zero >image");
	CHECK(check_flags("image", 0, &t, &r) == -EMEDIUMTYPE);
}

/* Neither the backing file nor the data file is needed. */
static void files_that_are_missing(void)
{
	struct qc_check_result r;
	struct tally t;

	sh("rm -f image && qemu-img create -q -f qcow2 -u -b gone -F qcow2 image 4M");
	CHECK(!check_flags("image", 0, &t, &r) && !r.corruptions);
	fresh("data_file=image.data");
	sh("rm image.data");
	CHECK(!check_flags("image", QC_CHECK_FIX_ALL, &t, &r) && !r.corruptions);
}

int main(void)
{
	struct qc_config config = { .log = logbook_fn, .log_arg = &book, .log_max = QC_LOG_WARN };

	begin();
	ctx = context_of(&config);
	RUN(sound_images);
	RUN(sound_images_with_more);
	RUN(encrypted_images);
	RUN(each_fault_is_found);
	RUN(each_fault_is_repaired);
	RUN(leaks_alone_are_repaired);
	RUN(findings_say_where);
	RUN(findings_name_an_entry);
	RUN(compressed_clusters_that_overlap);
	RUN(version_1);
	RUN(images_in_use);
	RUN(files_that_are_missing);
	context_end(ctx);
	return DONE();
}
