/* SPDX-License-Identifier: MIT */
/* Which files a name in an image may reach, in a tree of them. */
#include "io/external_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tap.h"
#include "tempdir.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/*
 *	in/top		the image from which names start
 *	in/base  in/a:b  in/sub/base  in/sub/deep/base
 *	in/good -> base		in/good-dir -> sub	in/to-out -> ../out/base
 *	in/out-dir -> ../out	in/abs -> TEMPDIR/in/base
 *	in/up-and-back -> ../in/base	in/loop -> loop		in/dangling -> nothing
 *	in/fifo  in/socket  in/device	in/null -> /dev/null
 *	in.old/base	out/base	link -> in
 */
static void make_file(const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(path, f) < 0 || fclose(f)) {
		perror(path);
		exit(1);
	}
}

static void make_link(const char *to, const char *path)
{
	if (symlink(to, path))
		perror(path);
}

static bool have_device;

static void make_special(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "in/socket" };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(!bind(s, (struct sockaddr *)&a, sizeof(a)));
	close(s);
	CHECK(!mkfifo("in/fifo", 0600));
	have_device = !mknod("in/device", S_IFCHR | 0600, makedev(1, 5)); /* root only */
	make_link("/dev/null", "in/null");
}

static void make_tree(void)
{
	static const char *const dirs[] = { "in", "in/sub", "in/sub/deep", "in.old", "out" };
	static const char *const files[] = { "in/top",	"in/base",     "in/a:b", "in/sub/base",
					     "in/sub/deep/base", "in.old/base", "out/base" };
	char path[400];

	for (size_t i = 0; i < COUNT(dirs); i++)
		CHECK(!mkdir(dirs[i], 0700));
	for (size_t i = 0; i < COUNT(files); i++)
		make_file(files[i]);
	make_link("base", "in/good");
	make_link("sub", "in/good-dir");
	make_link("../out/base", "in/to-out");
	make_link("../out", "in/out-dir");
	make_link("../in/base", "in/up-and-back");
	make_link("loop", "in/loop");
	make_link("nothing", "in/dangling");
	make_link("in", "link");
	snprintf(path, sizeof(path), "%s/in/base", tempdir);
	make_link(path, "in/abs");
	make_special();
}

/* ---- one question ----------------------------------------------------------- */

static struct qc_external_policy policy;
static struct qc_reason why;
static const char *from_dir; /* below tempdir, or absolute */

/* "@x" stands for TEMPDIR/x. */
static const char *path_of(const char *text, char *buf, size_t size)
{
	if (*text == '@')
		snprintf(buf, size, "%s/%s", tempdir, text + 1);
	else
		snprintf(buf, size, "%s", text);
	return buf;
}

static qc_err refer(const char *name, struct qc_file_location *out)
{
	char dir[400], full[400];
	struct qc_file_location from = QC_FILE_LOCATION_NONE;
	qc_err r;

	from.dir = (char *)path_of(from_dir, dir, sizeof(dir));
	from.name = (char *)"top";
	from.dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	memset(&why, 0, sizeof(why));
	name = path_of(name, full, sizeof(full));
	r = qc_open_external_file(&policy, "backing file", &from, name, out, &why);
	close(from.dirfd);
	return r;
}

/* Whether the place is the file `want`, below tempdir, and fits together. */
static bool is_place(struct qc_file_location *p, const char *want)
{
	char text[100] = "", path[600];
	struct stat a, b;
	bool ok = read(p->fd, text, sizeof(text) - 1) > 0 && !strcmp(text, want);

	ok = ok && !fstat(p->fd, &a) && !fstatat(p->dirfd, p->name, &b, 0) &&
	     a.st_ino == b.st_ino;
	snprintf(path, sizeof(path), "%s/%s", p->dir, p->name);
	ok = ok && *p->dir == '/' && !stat(path, &b) && a.st_ino == b.st_ino;
	ok = ok && fcntl(p->fd, F_GETFD) == FD_CLOEXEC;
	if (!ok)
		printf("# '%s' is not '%s' (%s)\n", path, want, text);
	qc_file_location_close(p);
	return ok;
}

static bool reaches(const char *name, const char *want)
{
	struct qc_file_location p;
	qc_err r = refer(name, &p);

	if (r)
		printf("# '%s': %s\n", name, why.text);
	return !r && is_place(&p, want);
}

static bool denied(const char *name, qc_err err, const char *word)
{
	struct qc_file_location p;
	qc_err r = refer(name, &p);

	if (r == err && strstr(why.text, word) && p.fd < 0 && p.dirfd < 0 && !p.dir && !p.name)
		return true;
	printf("# '%s' is not refused for '%s': %d %s\n", name, word, r, why.text);
	qc_file_location_close(&p);
	return false;
}

static void set(enum qc_refs refs, const char *dir)
{
	policy = (struct qc_external_policy){ .refs = refs };
	from_dir = dir;
}

/* ---- in its folder ---------------------------------------------------------- */

static void names_in_the_folder(void)
{
	set(QC_REFS_SAMEDIR, "@in");
	CHECK(reaches("base", "in/base"));
	CHECK(reaches("./base", "in/base"));
	CHECK(reaches(".//base", "in/base"));
	CHECK(reaches("sub/base", "in/sub/base"));
	CHECK(reaches("sub//deep/base", "in/sub/deep/base"));
	CHECK(reaches("./a:b", "in/a:b"));
	CHECK(reaches("@in/base", "in/base"));
	CHECK(reaches("@in//sub/base", "in/sub/base"));
	CHECK(denied("nothing", -ENOENT, "cannot open backing file 'nothing'"));
	CHECK(denied("sub/nothing", -ENOENT, "No such file"));
	CHECK(denied("base/x", -ENOTDIR, "Not a directory"));
}

static void names_that_go_round(void)
{
	set(QC_REFS_SAMEDIR, "@in");
	CHECK(reaches("../in/base", "in/base"));
	CHECK(reaches("sub/../base", "in/base"));
	CHECK(reaches("../in/sub/base", "in/sub/base"));
	CHECK(reaches("@out/../in/base", "in/base"));
	CHECK(reaches("@link/base", "in/base"));
	CHECK(reaches("@link/sub/base", "in/sub/base"));
	from_dir = "@link"; /* the folder itself is named through a link */
	CHECK(reaches("@in/base", "in/base"));
	CHECK(reaches("@link/base", "in/base"));
	CHECK(reaches("base", "in/base"));
	CHECK(reaches("../in/base", "in/base"));
}

static void names_outside(void)
{
	static const char *const names[] = {
		"../out/base",	   "@out/base",	    "@in.old/base", "../in.old/base",
		"sub/../../out/base", "/etc/passwd", "@in/../out/base", "..", "../..", "/",
		"../", "/..", "sub/..", "sub/../..", "@link/../out/base",
	};

	set(QC_REFS_SAMEDIR, "@in");
	for (size_t i = 0; i < COUNT(names); i++) {
		struct qc_file_location p;

		CHECK(refer(names[i], &p) == -EACCES);
		if (!strstr(why.text, "is outside of the image's folder") &&
		    !strstr(why.text, "not a regular file")) {
			printf("# '%s': %s\n", names[i], why.text);
			CHECK(false && "a word of the reason");
		}
		qc_file_location_close(&p);
	}
	CHECK(denied("../out/base", -EACCES, "is outside of the image's folder (backing=any"));
	CHECK(denied("../nowhere/base", -ENOENT, "cannot open"));
}

static void links_in_the_folder(void)
{
	set(QC_REFS_SAMEDIR, "@in");
	CHECK(reaches("good", "in/base"));
	CHECK(reaches("good-dir/base", "in/sub/base"));
	CHECK(denied("to-out", -EACCES, "outside"));
	CHECK(denied("out-dir/base", -EACCES, "outside"));
	CHECK(denied("abs", -EACCES, "outside")); /* absolute links lead out of everything */
	CHECK(denied("up-and-back", -EACCES, "outside"));
	CHECK(denied("loop", -ELOOP, "cannot open"));
	CHECK(denied("dangling", -ENOENT, "cannot open"));
	CHECK(denied("null", -EACCES, "outside"));
}

/* ---- anywhere --------------------------------------------------------------- */

static void any(void)
{
	set(QC_REFS_ANY, "@in");
	CHECK(reaches("base", "in/base"));
	CHECK(reaches("sub/base", "in/sub/base"));
	CHECK(reaches("../out/base", "out/base"));
	CHECK(reaches("@out/base", "out/base"));
	CHECK(reaches("@in/base", "in/base"));
	CHECK(reaches("to-out", "out/base"));
	CHECK(reaches("out-dir/base", "out/base"));
	CHECK(reaches("abs", "in/base"));
	CHECK(reaches("./a:b", "in/a:b"));
	CHECK(denied("nothing", -ENOENT, "cannot open"));
	CHECK(denied("null", -EACCES, "not a regular file"));
	CHECK(denied("/dev/zero", -EACCES, "not a regular file"));
}

static void none(void)
{
	set(QC_REFS_NONE, "@in");
	CHECK(denied("base", -EACCES, "cannot open backing file 'base': backing=none"));
	CHECK(denied("@in/base", -EACCES, "backing=samedir"));
}

/* ---- other than regular files ----------------------------------------------- */

static void only_regular_files(void)
{
	static const enum qc_refs refs[] = { QC_REFS_SAMEDIR, QC_REFS_ANY };

	for (size_t i = 0; i < COUNT(refs); i++) {
		set(refs[i], "@in");
		CHECK(denied("fifo", -EACCES, "not a regular file")); /* and does not hang */
		CHECK(denied("socket", -EACCES, "not a regular file"));
		CHECK(denied("sub", -EACCES, "not a regular file"));
		CHECK(denied("sub/", -EACCES, "not a regular file"));
		CHECK(denied(".", -EACCES, "not a regular file"));
		CHECK(denied("@in", -EACCES, refs[i] == QC_REFS_ANY ? "regular" : ""));
		if (have_device)
			CHECK(denied("device", -EACCES, "not a regular file"));
	}
}

static void only_paths(void)
{
	static const char *const names[] = {
		"json:{\"file.driver\":\"file\"}", "nbd:localhost:10809", "a:b", "file:base",
		"http://host/image", "fat:rw:/tmp", ":", "nbd+unix:///disk?socket=/x",
	};
	static const enum qc_refs refs[] = { QC_REFS_SAMEDIR, QC_REFS_ANY, QC_REFS_NONE };

	for (size_t i = 0; i < COUNT(refs); i++) {
		set(refs[i], "@in");
		for (size_t k = 0; k < COUNT(names); k++)
			CHECK(denied(names[k], -EACCES, "is not a path"));
	}
}

static void names_with_control_bytes(void)
{
	set(QC_REFS_SAMEDIR, "@in");
	CHECK(denied("a\nb\x1b", -ENOENT, "'a?b?'"));
}

/* ---- path_maps ----------------------------------------------------------------- */

static struct qc_path_map maps[2];
static char map_to[2][400];

static void map(size_t i, const char *from, const char *to)
{
	maps[i] = (struct qc_path_map){ from, path_of(to, map_to[i], sizeof(map_to[i])) };
	policy.path_maps = maps;
	policy.npath_maps = i + 1;
}

static void remapped_prefix(void)
{
	set(QC_REFS_SAMEDIR, "@in");
	map(0, "/no-such/images", "@out");
	CHECK(reaches("/no-such/images/base", "out/base"));
	CHECK(reaches("/no-such/images//base", "out/base"));
	CHECK(reaches("base", "in/base"));
	CHECK(denied("/no-such/images2/base", -ENOENT, "cannot open"));
	CHECK(denied("/no-such/imag", -ENOENT, "cannot open"));
	CHECK(denied("/no-such/images", -EACCES, "not a regular file"));
	CHECK(denied("/no-such/images/nothing", -ENOENT, "cannot open"));
}

static void remaps_are_a_jail_of_their_own(void)
{
	static const enum qc_refs refs[] = { QC_REFS_SAMEDIR, QC_REFS_ANY };

	for (size_t i = 0; i < COUNT(refs); i++) {
		set(refs[i], "@in.old");
		map(0, "/srv", "@in");
		CHECK(reaches("/srv/sub/base", "in/sub/base"));
		CHECK(reaches("/srv/sub/../base", "in/base"));
		CHECK(reaches("/srv/good", "in/base"));
		CHECK(denied("/srv/../out/base", -EACCES, "outside"));
		CHECK(denied("/srv/out-dir/base", -EACCES, "outside"));
		CHECK(denied("/srv/to-out", -EACCES, "outside"));
		CHECK(denied("/srv/fifo", -EACCES, "not a regular file"));
	}
}

static void remap_of_a_whole_name(void)
{
	set(QC_REFS_SAMEDIR, "@in");
	map(0, "/srv/base.qcow2", "@out/base");
	CHECK(reaches("/srv/base.qcow2", "out/base"));
	CHECK(denied("/srv/base.qcow2/x", -ENOTDIR, "cannot open"));
	map(0, "other.qcow2", "@out/base"); /* relative names, too */
	CHECK(reaches("other.qcow2", "out/base"));
	CHECK(denied("other.qcow", -ENOENT, "cannot open"));
}

static void first_remap_that_fits(void)
{
	set(QC_REFS_SAMEDIR, "@in");
	map(0, "/srv/a", "@in/sub");
	map(1, "/srv", "@out");
	CHECK(reaches("/srv/a/base", "in/sub/base"));
	CHECK(reaches("/srv/base", "out/base"));
	map(0, "/srv", "@nowhere");
	CHECK(denied("/srv/base", -ENOENT, "cannot open"));
}

static void remaps_do_not_override_none(void)
{
	set(QC_REFS_NONE, "@in");
	map(0, "/srv", "@out");
	CHECK(denied("/srv/base", -EACCES, "backing=none forbids it"));
}

static void remap_of_the_root(void)
{
	set(QC_REFS_SAMEDIR, "@in");
	map(0, "/", "@out");
	CHECK(reaches("/base", "out/base"));
}

/* ---- an image in the root folder --------------------------------------------- */

static void from_the_root(void)
{
	char name[400];

	set(QC_REFS_SAMEDIR, "/");
	snprintf(name, sizeof(name), "%s/out/base", tempdir + 1);
	CHECK(reaches(name, "out/base"));
	CHECK(reaches("@out/base", "out/base"));
	CHECK(denied("/", -EACCES, "not a regular file"));
}

static void root_and_dots(void)
{
	set(QC_REFS_SAMEDIR, "/");
	struct qc_file_location p;

	CHECK(refer("..", &p) == -EACCES);
	qc_file_location_close(&p);
}

/* Some stories are told in a process of their own, which may end badly. */
static bool survives(void (*story)(void))
{
	int status = 1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		tap_failed = 0;
		story();
		fflush(stdout);
		_exit(tap_failed != 0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status == 0;
}

static void dots_seen_from_the_root(void)
{
	CHECK(survives(root_and_dots));
}

/* ---- kernels without openat2 ------------------------------------------------ */

static int forbid_openat2(unsigned int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { COUNT(code), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

static void links_without_openat2(void)
{
	struct qc_file_location p;

	set(QC_REFS_SAMEDIR, "@in");
	CHECK(refer("good", &p) < 0); /* no link is followed, */
	CHECK(refer("good-dir/base", &p) < 0);
	CHECK(refer("to-out", &p) < 0);
	CHECK(refer("out-dir/base", &p) < 0);
	CHECK(refer("abs", &p) < 0);
	CHECK(denied("sub/..", -EACCES, "outside")); /* and nothing goes up */
	CHECK(denied("fifo", -EACCES, "not a regular file"));
	CHECK(denied("nothing", -ENOENT, "cannot open"));
}

static void as_before(void)
{
	names_in_the_folder();
	names_that_go_round();
	names_outside();
	links_without_openat2();
	only_regular_files();
	remapped_prefix();
	from_the_root();
}

static unsigned int filter_error;

static void filtered(void)
{
	int fd;

	if (forbid_openat2(filter_error))
		return; /* not allowed here */
	fd = (int)syscall(SYS_openat2, -1, "", NULL, 0);
	CHECK(fd < 0 && errno == (int)filter_error);
	as_before();
}

static void without_openat2(void)
{
	filter_error = ENOSYS;
	CHECK(survives(filtered));
	filter_error = EPERM;
	CHECK(survives(filtered));
}

/* ---- no descriptor is lost -------------------------------------------------- */

static int lowest_free(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

int main(void)
{
	int before;

	/* Links are followed inside of a folder by this call only. */
	if (syscall(SYS_openat2, -1, "", NULL, 0) && errno == ENOSYS)
		SKIP("there is no openat2(2) here");
	tempdir_enter();
	make_tree();
	before = lowest_free();
	RUN(names_in_the_folder);
	RUN(names_that_go_round);
	RUN(names_outside);
	RUN(links_in_the_folder);
	RUN(any);
	RUN(none);
	RUN(only_regular_files);
	RUN(only_paths);
	RUN(names_with_control_bytes);
	RUN(remapped_prefix);
	RUN(remaps_are_a_jail_of_their_own);
	RUN(remap_of_a_whole_name);
	RUN(first_remap_that_fits);
	RUN(remaps_do_not_override_none);
	RUN(remap_of_the_root);
	RUN(from_the_root);
	RUN(dots_seen_from_the_root);
	RUN(without_openat2);
	CHECK(lowest_free() == before);
	return DONE();
}
