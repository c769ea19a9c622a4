/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/mount_options.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MORE 12

static struct options o;
static char said[4000]; /* the reported message */

/* ---- one command line ------------------------------------------------------- */

static bool as_helper; /* of mount(8) */

static enum exitcode parse_quietly(int argc, char **argv)
{
	int keep = dup(STDERR_FILENO), mem = memfd_create("stderr", MFD_CLOEXEC);
	enum exitcode r;
	ssize_t n;

	fflush(stderr);
	dup2(mem, STDERR_FILENO);
	r = (as_helper ? options_parse_helper : options_parse)(&o, argc, argv);
	fflush(stderr);
	dup2(keep, STDERR_FILENO);
	n = pread(mem, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = 0;
	close(keep);
	close(mem);
	return r;
}

/* The words, up to a NULL. */
static enum exitcode parse(const char *const *words)
{
	static char text[MORE][600];
	char *argv[MORE + 2] = { text[0] };
	int argc = 1;

	snprintf(text[0], sizeof(text[0]), "program");
	for (; words[argc - 1]; argc++) {
		snprintf(text[argc], sizeof(text[argc]), "%s", words[argc - 1]);
		argv[argc] = text[argc];
	}
	optind = 0; /* else getopt would go on with the last line */
	return parse_quietly(argc, argv);
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static enum exitcode with_o(const char *list)
{
	return PARSE("-o", list, "src", "mnt");
}

/* Whether "-o LIST" is taken; *o is to be freed in any case. */
static bool takes(const char *list)
{
	enum exitcode r = with_o(list);

	if (r || *said)
		printf("# -o %s: %s", list, said);
	return !r && !*said;
}

static bool rejects(const char *list, const char *word)
{
	enum exitcode r = with_o(list);
	size_t lines = 0;

	options_free(&o);
	for (const char *p = said; *p; p++)
		lines += *p == '\n';
	if (r == EXIT_USAGE && strstr(said, word) && !strncmp(said, "qcowfs: ", 8) &&
	    lines == 1)
		return true;
	printf("# -o %s: %d %s\n", list, r, said);
	return false;
}

/* ---- letters and operands --------------------------------------------------- */

static void two_operands(void)
{
	CHECK(!PARSE("src", "mnt") && !*said);
	CHECK(o.action == ACTION_MOUNT);
	CHECK(!strcmp(o.source, "src") && !strcmp(o.mountpoint, "mnt"));
	CHECK(!o.foreground && !o.debug && !o.single_thread && !o.verbose && !o.ro && !o.rw);
	CHECK(o.refs == QC_REFS_SAMEDIR && o.locking == QC_LOCKING_ON && !o.cache_bytes);
	CHECK(o.ready_fd == -1 && !o.pid_file);
	CHECK(!o.threads && !o.timeout && !o.mount_options && !o.npath_maps);
	options_free(&o);
	CHECK(PARSE("src") == EXIT_USAGE && strstr(said, "MOUNTPOINT: missing"));
	options_free(&o);
	CHECK(parse((const char *const[]){ NULL }) == EXIT_USAGE && strstr(said, "SOURCE: missing"));
	options_free(&o);
	CHECK(PARSE("a", "b", "c") == EXIT_USAGE && strstr(said, "operands: more than two"));
	options_free(&o);
	CHECK(!PARSE("", "mnt") && !*o.source);
	options_free(&o);
}

static void letters(void)
{
	CHECK(!PARSE("-f", "src", "mnt") && o.foreground && !o.debug);
	options_free(&o);
	CHECK(!PARSE("-d", "src", "mnt") && o.foreground && o.debug);
	CHECK(o.mount_options && !strcmp(o.mount_options, "debug"));
	options_free(&o);
	CHECK(!PARSE("-s", "src", "mnt") && o.single_thread);
	options_free(&o);
	CHECK(!PARSE("-vv", "-v", "src", "mnt") && o.verbose == 3);
	options_free(&o);
	CHECK(!PARSE("-r", "src", "mnt") && o.ro && !o.mount_options);
	options_free(&o);
	CHECK(!PARSE("-h") && o.action == ACTION_HELP);
	options_free(&o);
	CHECK(!PARSE("--help") && o.action == ACTION_HELP);
	options_free(&o);
	CHECK(!PARSE("-V") && o.action == ACTION_VERSION);
	options_free(&o);
	CHECK(!PARSE("--version") && o.action == ACTION_VERSION);
	options_free(&o);
}

static void unknown_letters(void)
{
	CHECK(PARSE("-x", "src", "mnt") == EXIT_USAGE && strstr(said, "-x: unknown"));
	CHECK(!strncmp(said, "qcowfs: ", 8)); /* not what argv[0] says */
	options_free(&o);
	CHECK(PARSE("--colour", "src", "mnt") == EXIT_USAGE && strstr(said, "--colour: unknown"));
	options_free(&o);
	CHECK(PARSE("src", "mnt", "-o") == EXIT_USAGE && strstr(said, "-o: the option"));
	options_free(&o);
}

static void options_may_stand_anywhere(void)
{
	CHECK(!PARSE("src", "-f", "mnt", "-o", "threads=3", "-s"));
	CHECK(!strcmp(o.source, "src") && !strcmp(o.mountpoint, "mnt"));
	CHECK(o.foreground && o.single_thread && o.threads == 3);
	options_free(&o);
	CHECK(!PARSE("src", "mnt", "-oro,timeout=5") && o.ro && o.timeout == 5);
	options_free(&o);
	CHECK(!PARSE("-f", "--", "-src", "-o") && !strcmp(o.source, "-src"));
	CHECK(!strcmp(o.mountpoint, "-o"));
	options_free(&o);
}

static void o_may_be_given_again(void)
{
	CHECK(!PARSE("-o", "threads=3", "-o", "timeout=7,threads=4", "src", "mnt"));
	CHECK(o.threads == 4 && o.timeout == 7); /* the last one counts */
	options_free(&o);
	CHECK(takes("ro,rw") && o.rw && !o.ro);
	options_free(&o);
	CHECK(takes("rw,ro") && o.ro && !o.rw);
	options_free(&o);
	CHECK(takes(""));
	options_free(&o);
	CHECK(takes(",,ro,") && o.ro);
	options_free(&o);
}

/* ---- -o --------------------------------------------------------------------- */

static void words(void)
{
	CHECK(takes("backing=any") && o.refs == QC_REFS_ANY);
	options_free(&o);
	CHECK(takes("backing=none") && o.refs == QC_REFS_NONE);
	options_free(&o);
	CHECK(takes("backing=any,backing=samedir") && o.refs == QC_REFS_SAMEDIR);
	options_free(&o);
	CHECK(takes("locking=share") && o.locking == QC_LOCKING_SHARE && o.ro);
	options_free(&o);
	CHECK(takes("rw,locking=share") && o.ro);
	options_free(&o);
	CHECK(takes("locking=share,locking=on") && !o.ro);
	options_free(&o);
	CHECK(takes("locking=off") && o.locking == QC_LOCKING_OFF);
	options_free(&o);
	CHECK(takes("locking=off,locking=on") && o.locking == QC_LOCKING_ON);
	options_free(&o);
	CHECK(rejects("backing=all", "'all' is not samedir|any|none"));
	CHECK(rejects("backing=", "'' is not"));
	CHECK(rejects("backing=Any", "'Any'"));
	CHECK(rejects("locking=yes", "locking: 'yes' is not on|off|share"));
}

static void flags(void)
{
	CHECK(takes("direct_io") && o.direct_io);
	options_free(&o);
	CHECK(takes("default_permissions") && o.default_permissions && !o.mount_options);
	options_free(&o);
	CHECK(takes("allow_other") && o.allow_other && !strcmp(o.mount_options, "allow_other"));
	options_free(&o);
	CHECK(takes("allow_root") && !strcmp(o.mount_options, "allow_root"));
	options_free(&o);
	CHECK(takes("auto_unmount,nosuid,nodev,noexec,noatime"));
	CHECK(!strcmp(o.mount_options, "auto_unmount,nosuid,nodev,noexec,noatime"));
	options_free(&o);
	CHECK(takes("suid,dev,exec,atime,relatime,async,defaults,noauto,nofail,_netdev,user"));
	CHECK(!o.mount_options); /* nobody is told */
	options_free(&o);
	CHECK(takes("x-systemd.automount,X-mount.mkdir=755,comment=hello,user=me"));
	CHECK(!o.mount_options);
	options_free(&o);
}

static void views(void)
{
	CHECK(takes("snapshots") && o.snapshots && !o.chain && !o.info && !o.ro);
	options_free(&o);
	CHECK(takes("chain,info") && !o.snapshots && o.chain && o.info && !o.forensic);
	options_free(&o);
	CHECK(takes("partitions") && o.partitions && !o.snapshots && !o.ro);
	options_free(&o);
	CHECK(takes("forensic") && o.snapshots && o.chain && o.info && o.bitmaps && o.forensic && o.ro);
	options_free(&o);
	CHECK(takes("bitmaps") && o.bitmaps && !o.drop_bitmaps && !o.snapshots);
	options_free(&o);
	CHECK(takes("keep-bitmaps=off") && o.drop_bitmaps && !o.bitmaps);
	options_free(&o);
	CHECK(takes("keep-bitmaps=off,keep-bitmaps=on") && !o.drop_bitmaps);
	options_free(&o);
	CHECK(rejects("keep-bitmaps=maybe", "keep-bitmaps"));
	options_free(&o);
	CHECK(takes("forensic,ro") && o.ro);
	options_free(&o);
	CHECK(rejects("forensic,rw", "rw: not together"));
	CHECK(takes("unallocated") && o.unallocated && o.ro && !o.forensic);
	options_free(&o);
	CHECK(takes("forensic") && o.unallocated);
	options_free(&o);
	CHECK(takes("rescue") && o.rescue && o.ro && o.lost == QC_LOST_EIO);
	options_free(&o);
	CHECK(takes("rescue,cow") && o.rescue && !o.ro);
	options_free(&o);
	CHECK(takes("lost=mark") && o.lost == QC_LOST_MARK && o.ro && !o.rescue);
	options_free(&o);
	CHECK(takes("lost=eio") && !o.ro);
	options_free(&o);
	CHECK(takes("lost=zeros,cow") && !o.ro);
	options_free(&o);
	CHECK(takes("doubtful=lost") && o.rescue && o.doubtful_is_lost && o.ro);
	options_free(&o);
	CHECK(takes("doubtful=serve") && !o.rescue && !o.ro);
	options_free(&o);
	CHECK(takes("damage=a.map") && o.damage[0] == '/' && o.ro);
	options_free(&o);
	CHECK(takes("damage-dir=maps") && o.damage_dir[0] == '/' && o.ro);
	options_free(&o);
	CHECK(rejects("rw,rescue", "rw: not together with rescue"));
	CHECK(rejects("rw,damage=a", "rw: not together with damage"));
	CHECK(rejects("lost=nothing", "lost: 'nothing' is not eio|zeros|mark"));
	CHECK(rejects("doubtful=", "doubtful") && rejects("damage=", "damage"));
	CHECK(rejects("rw,forensic", "forensic"));
	CHECK(takes("forensic,cow") && o.forensic && o.cow && !o.ro && o.snapshots);
	options_free(&o);
	CHECK(takes("cow,rw,forensic") && !o.ro);
	options_free(&o);
	CHECK(rejects("forensic,cow,ro", "cow: not together with ro"));
}

/* With a value, or without. */
static void overlays(void)
{
	char want[600];

	CHECK(takes("write-base") && o.write_base && !o.mount_options);
	options_free(&o);
	CHECK(rejects("write-base=on", "write-base"));
	CHECK(takes("cow") && o.cow && !o.cow_file && !o.ro && !o.mount_options);
	options_free(&o);
	CHECK(takes("cow=/some/file") && o.cow && !strcmp(o.cow_file, "/some/file"));
	options_free(&o);
	CHECK(takes("cow=a,cow=file") && getcwd(want, 500));
	CHECK(!strcmp(o.cow_file, strcat(want, "/file")));
	options_free(&o);
	CHECK(rejects("cow=", "cow: '' is not FILE"));
	CHECK(rejects("ro,cow", "cow: not together with ro"));
	CHECK(rejects("cow=/a,ro", "cow: not together with ro"));
	CHECK(takes("cow,ro,rw"));
	options_free(&o);
	CHECK(rejects("locking=share,cow", "cow: not together with locking=share"));
}

static void values_where_none_belong(void)
{
	CHECK(rejects("ro=1", "ro: the option takes no value"));
	CHECK(rejects("direct_io=", "takes no value"));
	CHECK(rejects("snapshots=1", "snapshots: the option takes no value"));
	CHECK(rejects("threads", "threads: the option needs a value"));
	CHECK(rejects("backing", "needs a value"));
	CHECK(rejects("fsname", "needs a value"));
}

static void unknown_options_are_named(void)
{
	CHECK(rejects("frobnicate", "frobnicate: unknown option"));
	CHECK(rejects("ro,frob=3,rw", ": frob: unknown option"));
	CHECK(rejects("RO", "RO: unknown option"));
	CHECK(rejects("cache_size=1M", "cache_size: unknown option"));
	CHECK(rejects("=x", "unknown option"));
}

static void sizes(void)
{
	static const struct {
		const char *text;
		uint64_t want;
	} good[] = {
		{ "65536", 65536 },	  { "65537", 65537 },	   { "64K", 65536 },
		{ "65k", 66560 },	  { "1M", 1 << 20 },	   { "3m", 3 << 20 },
		{ "2G", UINT64_C(2) << 30 }, { "0", 65536 },	   { "1", 65536 },
		{ "0064K", 65536 },	  { "4294967296", UINT64_C(1) << 32 },
		{ "4294967295G", UINT64_C(4294967295) << 30 },
	};
	static const char *const bad[] = {
		"", "K", "-1", "+1", " 1", "1 ", "1T", "1KB", "1KK", "0x10", "1.5M", "1e3",
		"18446744073709551616", "18446744073709551615", "99999999999999999999999999",
		"17179869184G", "17179869183G", "18014398509481984K",
	};
	char text[100];

	for (size_t i = 0; i < COUNT(good); i++) {
		snprintf(text, sizeof(text), "cache-size=%s", good[i].text);
		if (good[i].want > SIZE_MAX / 4) { /* with 32 bits */
			CHECK(rejects(text, "is not SIZE"));
			continue;
		}
		CHECK(takes(text) && o.cache_bytes == good[i].want);
		options_free(&o);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		snprintf(text, sizeof(text), "cache-size=%s", bad[i]);
		CHECK(rejects(text, "is not SIZE"));
	}
}

static void numbers(void)
{
	CHECK(takes("threads=1") && o.threads == 1);
	options_free(&o);
	CHECK(takes("threads=1024") && o.threads == 1024);
	options_free(&o);
	CHECK(rejects("threads=0", "'0' is not N"));
	CHECK(rejects("threads=1025", "'1025'"));
	CHECK(rejects("threads=1K", "'1K'"));
	CHECK(rejects("threads=-1", "'-1'"));
	CHECK(rejects("io_uring_q_depth=0", "'0' is not N"));
	CHECK(rejects("io_uring_q_depth=1025", "'1025'"));
	CHECK(takes("timeout=0") && !o.timeout);
	options_free(&o);
	CHECK(takes("timeout=2147483647") && o.timeout == 2147483647);
	options_free(&o);
	CHECK(rejects("timeout=2147483648", "is not SECONDS"));
	CHECK(rejects("timeout=5s", "is not SECONDS"));
}

/* libfuse handles it, or refuses an unknown option. */
static void rings(void)
{
#ifdef HAVE_RINGS
	CHECK(takes("io_uring,io_uring_q_depth=4") && o.io_uring);
	CHECK(!strcmp(o.mount_options, "io_uring,io_uring_q_depth=4"));
	options_free(&o);
	CHECK(PARSE("-s", "-o", "io_uring", "src", "mnt") == EXIT_USAGE);
	CHECK(strstr(said, "io_uring: not together with -s"));
#else
	CHECK(rejects("io_uring", "io_uring: the libfuse"));
	CHECK(rejects("io_uring_q_depth=4", "io_uring_q_depth: the libfuse"));
#endif
	CHECK(rejects("io_uring=on", "io_uring: the option takes no value"));
	CHECK(rejects("io_uring_q_depth", "needs a value"));
}

static void who_waits(void)
{
	char cwd[500] = "", want[600];

	CHECK(takes("ready-fd=3,pid-file=/run/a\\,b.pid") && o.ready_fd == 3);
	CHECK(!strcmp(o.pid_file, "/run/a,b.pid"));
	options_free(&o);
	CHECK(takes("pid-file=/a,pid-file=b") && getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "%s/b", cwd);
	CHECK(!strcmp(o.pid_file, want));
	options_free(&o);
	CHECK(takes("ready-fd=0") && o.ready_fd == 0);
	options_free(&o);
	CHECK(rejects("ready-fd=-1", "'-1' is not N"));
	CHECK(rejects("ready-fd=2147483648", "is not N"));
	CHECK(rejects("ready-fd", "needs a value"));
	CHECK(rejects("pid-file=", "'' is not PATH"));
}

static void owners(void)
{
	CHECK(takes("uid=0") && o.set_uid && o.uid == 0 && !o.set_gid);
	options_free(&o);
	CHECK(takes("uid=4294967294,gid=1000") && o.uid == 4294967294 && o.gid == 1000);
	CHECK(o.set_gid);
	options_free(&o);
	CHECK(rejects("uid=4294967295", "'4294967295'")); /* would mean nobody at all */
	CHECK(rejects("gid=4294967295", "is not N"));
	CHECK(rejects("uid=root", "'root'"));
	CHECK(rejects("gid=-1", "'-1'"));
}

static void masks(void)
{
	static const char *const bad[] = {
		"", "8", "1000", "-1", "0x12", "022 ", "rw", "777777777777777777777777",
	};
	char text[100];

	CHECK(takes("umask=022") && o.set_umask && o.umask == 022);
	options_free(&o);
	CHECK(takes("umask=0") && o.set_umask && o.umask == 0);
	options_free(&o);
	CHECK(takes("umask=777") && o.umask == 0777);
	options_free(&o);
	for (size_t i = 0; i < COUNT(bad); i++) {
		snprintf(text, sizeof(text), "umask=%s", bad[i]);
		CHECK(rejects(text, "is not OCTAL"));
	}
}

/* As the other numbers, it begins with a digit. */
static void masks_have_no_sign(void)
{
	CHECK(rejects("umask=-0", "is not OCTAL"));
	CHECK(rejects("umask=+22", "is not OCTAL"));
	CHECK(rejects("umask= 22", "is not OCTAL"));
	CHECK(rejects("umask=-1777777777777777777755", "is not OCTAL")); /* 023, less 2^64 */
}

static void names_in_the_mount_table(void)
{
	CHECK(takes("fsname=vm,subtype=x") && o.set_fsname && o.set_subtype);
	CHECK(!strcmp(o.mount_options, "fsname=vm,subtype=x"));
	options_free(&o);
	CHECK(takes("fsname=a\\,ro,noexec") && !o.ro);
	CHECK(!strcmp(o.mount_options, "fsname=a\\,ro,noexec"));
	options_free(&o);
	CHECK(takes("fsname=a\\\\b=c") && !strcmp(o.mount_options, "fsname=a\\\\b=c"));
	options_free(&o);
	CHECK(rejects("fsname=", "fsname: '' is not NAME"));
	CHECK(rejects("subtype=", "subtype: '' is not NAME"));
	CHECK(takes("fsname=end\\") && !strcmp(o.mount_options, "fsname=end\\\\"));
	options_free(&o);
}

static void contexts(void)
{
	static const struct {
		const char *given, *passed; /* as libfuse wants it: a comma after a backslash */
	} cases[] = {
		{ "context=u:r:t:s0", "context=u:r:t:s0" },
		{ "context=\"u:r:t:s0\",ro", "context=u:r:t:s0" },
		{ "context=\"u:r:t:s0:c1,c2\"", "context=\"u:r:t:s0:c1\\,c2\"" },
		{ "context=u:r:t:s0:c1\\,c2", "context=\"u:r:t:s0:c1\\,c2\"" },
		{ "fscontext=\"a,b\",defcontext=c,rootcontext=d",
		  "fscontext=\"a\\,b\",defcontext=c,rootcontext=d" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(takes(cases[i].given) && o.set_context);
		CHECK(!strcmp(o.mount_options, cases[i].passed));
		options_free(&o);
	}
	CHECK(rejects("context=\"a,b", "context: the second quotation mark is missing"));
	CHECK(rejects("context=a\"b", "is not CONTEXT"));
	CHECK(rejects("context=", "is not CONTEXT"));
	CHECK(rejects("context", "needs a value"));
	CHECK(takes("pid-file=/a\"b,ro") && !strcmp(o.pid_file, "/a\"b") && o.ro);
	options_free(&o);
}

static void descriptors_must_be_open(void)
{
	CHECK(rejects("key-fd=1000", "key-fd: 1000: no such descriptor is open"));
	CHECK(rejects("key-fd=x", "key-fd: 'x' is not N"));
	CHECK(takes("key-fd=0") && o.key_fd == 0);
	options_free(&o);
}

static void passing_on(void)
{
	memset(&o, 0, sizeof(o));
	CHECK(!mount_option_append(&o, "fsname", "a,b\\c"));
	CHECK(!mount_option_append(&o, "ro", NULL));
	CHECK(!strcmp(o.mount_options, "fsname=a\\,b\\\\c,ro"));
	options_free(&o);
}

static void maps(void)
{
	char cwd[500] = "", want[600];

	CHECK(takes("backing-map=/old:/new,backing-map=a\\,b:/c:d") && o.npath_maps == 2);
	CHECK(!strcmp(o.path_maps[0].old_prefix, "/old"));
	CHECK(!strcmp(o.path_maps[0].new_prefix, "/new"));
	CHECK(!strcmp(o.path_maps[1].old_prefix, "a,b"));
	CHECK(!strcmp(o.path_maps[1].new_prefix, "/c:d"));
	options_free(&o);
	CHECK(takes("backing-map=/old:new") && getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "%s/new", cwd);
	CHECK(!strcmp(o.path_maps[0].new_prefix, want));
	options_free(&o);
	CHECK(rejects("backing-map=/old", "is not OLD:NEW"));
	CHECK(rejects("backing-map=:/new", "is not OLD:NEW"));
	CHECK(rejects("backing-map=/old:", "is not OLD:NEW"));
	CHECK(rejects("backing-map=", "is not OLD:NEW"));
	CHECK(rejects("backing-map=/a:/b,backing-map=c", "'c' is not OLD:NEW"));
}

/* Letters of mount(8) mean something else than those of the program. */
static void helpers_of_mount(void)
{
	as_helper = true;
	CHECK(!PARSE("src", "mnt", "-s", "-n", "-v", "-o", "ro,unheard-of,x=y", "-t", "fuse.qcowfs"));
	CHECK(o.ro && !o.single_thread && !o.foreground && o.verbose == 1 && o.action == ACTION_MOUNT);
	options_free(&o);
	CHECK(!PARSE("src", "mnt", "-f", "-N", "/proc/1/ns/mnt"));
	CHECK(o.action == ACTION_NONE && !strcmp(o.mount_namespace, "/proc/1/ns/mnt"));
	options_free(&o);
	CHECK(PARSE("src", "mnt", "-o", "ro,unheard-of") && strstr(said, "unheard-of: unknown option"));
	options_free(&o);
	CHECK(PARSE("src", "-f") && strstr(said, "MOUNTPOINT: missing"));
	options_free(&o);
	CHECK(PARSE("src", "mnt", "-x") && strstr(said, "-x: unknown option"));
	options_free(&o);
	as_helper = false;
	CHECK(rejects("remount", "a mount cannot be changed"));
	CHECK(rejects("ro,remount", "a mount cannot be changed"));
}

int main(void)
{
	RUN(two_operands);
	RUN(letters);
	RUN(unknown_letters);
	RUN(options_may_stand_anywhere);
	RUN(o_may_be_given_again);
	RUN(words);
	RUN(flags);
	RUN(contexts);
	RUN(descriptors_must_be_open);
	RUN(views);
	RUN(overlays);
	RUN(values_where_none_belong);
	RUN(unknown_options_are_named);
	RUN(sizes);
	RUN(numbers);
	RUN(rings);
	RUN(who_waits);
	RUN(owners);
	RUN(masks);
	RUN(masks_have_no_sign);
	RUN(names_in_the_mount_table);
	RUN(passing_on);
	RUN(maps);
	RUN(helpers_of_mount);
	return DONE();
}
