/* SPDX-License-Identifier: MIT */
/*
 * replay.c - the fuzzers without a fuzzer: runs the function over the files,
 * and over all files in the folders, that it is given.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long files;

static int fail(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return -1;
}

static int replay_file(const char *path, size_t size)
{
	/* No byte more than the input has, so that a sanitizer sees the end. */
	uint8_t *data = malloc(size ? size : 1);
	FILE *f = fopen(path, "rbe");
	int r = 0;

	if (!data || !f || fread(data, 1, size, f) != size)
		r = fail(path);
	if (f)
		fclose(f);
	if (!r) {
		/* The last name printed is that of the input which failed. */
		printf("%s\n", path);
		fflush(stdout);
		LLVMFuzzerTestOneInput(data, size);
		files++;
	}
	free(data);
	return r;
}

static int replay(const char *path);

static int replay_folder(const char *path)
{
	struct dirent **entry;
	int n = scandir(path, &entry, NULL, alphasort), r = 0;

	if (n < 0)
		return fail(path);
	for (int i = 0; i < n; i++) {
		char *inside = NULL;

		if (entry[i]->d_name[0] != '.') {
			if (asprintf(&inside, "%s/%s", path, entry[i]->d_name) < 0)
				abort();
			if (replay(inside))
				r = -1;
			free(inside);
		}
		free(entry[i]);
	}
	free(entry);
	return r;
}

static int replay(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return fail(path);
	if (S_ISDIR(st.st_mode))
		return replay_folder(path);
	return replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	int status = EXIT_SUCCESS;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE-OR-FOLDER...\n", argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]))
			status = EXIT_FAILURE;
	printf("%lu inputs\n", files);
	return status;
}
