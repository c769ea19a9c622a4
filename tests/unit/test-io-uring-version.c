/* SPDX-License-Identifier: MIT */
/* The versions of libfuse that may use io_uring. */
#include "ops/io_uring_version.h"

#include "tap.h"

static void versions_with_faults_are_refused(void)
{
	CHECK(!io_uring_version_is_safe("3.18.1"));
	CHECK(!io_uring_version_is_safe("3.18.0"));
	CHECK(!io_uring_version_is_safe("3.18"));
	CHECK(!io_uring_version_is_safe("3.17.9"));
	CHECK(!io_uring_version_is_safe("2.19.4"));
	CHECK(!io_uring_version_is_safe(""));
	CHECK(!io_uring_version_is_safe("unknown"));
}

static void later_versions_are_taken(void)
{
	CHECK(io_uring_version_is_safe("3.18.2"));
	CHECK(io_uring_version_is_safe("3.18.10"));
	CHECK(io_uring_version_is_safe("3.18.2-rc1"));
	CHECK(io_uring_version_is_safe("3.19.0"));
	CHECK(io_uring_version_is_safe("3.19"));
	CHECK(io_uring_version_is_safe("4.0.0"));
}

int main(void)
{
	RUN(versions_with_faults_are_refused);
	RUN(later_versions_are_taken);
	return DONE();
}
