/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An MPI program for tests and measurements: who runs where, then messages between the first rank
 * and the last.
 *
 * usage: pingpong [BYTES REPEATS]...
 *
 * Every rank prints "rank N of M on HOST, user namespace INODE, user UID"; the first one, for each
 * pair of arguments, "BYTES bytes: LATENCY us, BANDWIDTH MB/s, at best BANDWIDTH MB/s", of the
 * median and the shortest round trip. Of Open MPI it prints at the end "single copy: MECHANISM",
 * what the transport of shared memory has come to.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/poison.h"

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void play(int rank, int last, size_t bytes, int repeats)
{
	char *buf = malloc(bytes ? bytes : 1);
	double *took = malloc(sizeof(*took) * (size_t)repeats), median;

	memset(buf, rank, bytes);
	for (int i = 0; i < repeats; i++) {
		double start = MPI_Wtime();

		if (rank == 0) {
			MPI_Send(buf, (int)bytes, MPI_BYTE, last, 1, MPI_COMM_WORLD);
			MPI_Recv(buf, (int)bytes, MPI_BYTE, last, 1, MPI_COMM_WORLD,
				 MPI_STATUS_IGNORE);
		} else if (rank == last) {
			MPI_Recv(buf, (int)bytes, MPI_BYTE, 0, 1, MPI_COMM_WORLD,
				 MPI_STATUS_IGNORE);
			MPI_Send(buf, (int)bytes, MPI_BYTE, 0, 1, MPI_COMM_WORLD);
		}
		took[i] = MPI_Wtime() - start;
	}
	qsort(took, (size_t)repeats, sizeof(*took), compare);
	median = took[repeats / 2] / 2;
	if (rank == 0)
		printf("%zu bytes: %.2f us, %.1f MB/s, at best %.1f MB/s\n", bytes, median * 1e6,
		       (double)bytes / median / 1e6, (double)bytes * 2 / took[0] / 1e6);
	free(buf);
	free(took);
}

/* The transport has another value here when it could not do what it was to. MPICH has none. */
static void report_mechanism(void)
{
	int index, provided, verbosity, bind, scope, count, items, value = -1;
	char text[64];
	MPI_T_cvar_handle handle;
	MPI_T_enum names;
	MPI_Datatype type;

	if (MPI_T_init_thread(MPI_THREAD_SINGLE, &provided) != MPI_SUCCESS ||
	    MPI_T_cvar_get_index("btl_vader_single_copy_mechanism", &index) != MPI_SUCCESS)
		return;
	MPI_T_cvar_get_info(index, NULL, NULL, &verbosity, &type, &names, NULL, NULL, &bind,
			    &scope);
	MPI_T_cvar_handle_alloc(index, NULL, &handle, &count);
	MPI_T_cvar_read(handle, &value);
	count = sizeof(text);
	MPI_T_enum_get_info(names, &items, text, &count);
	for (int i = 0; i < items; i++) {
		int one;

		count = sizeof(text);
		MPI_T_enum_get_item(names, i, &one, text, &count);
		if (one == value)
			printf("single copy: %s\n", text);
	}
}

int main(int argc, char **argv)
{
	char host[MPI_MAX_PROCESSOR_NAME] = "";
	struct stat ns = { 0 };
	int rank, ranks;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	gethostname(host, sizeof(host) - 1);
	stat("/proc/self/ns/user", &ns);
	printf("rank %d of %d on %s, user namespace %lu, user %u\n", rank, ranks, host,
	       (unsigned long)ns.st_ino, (unsigned int)getuid());
	for (int i = 1; i + 1 < argc && ranks > 1; i += 2)
		play(rank, ranks - 1, strtoul(argv[i], NULL, 10),
		     (int)strtol(argv[i + 1], NULL, 10));
	if (rank == 0)
		report_mechanism();
	fflush(stdout);
	MPI_Barrier(MPI_COMM_WORLD);
	/* MPICH 4.0 may hang in MPI_Finalize between nodes (pmodels/mpich#6596) */
	if (getenv("PINGPONG_NO_FINALIZE"))
		_exit(0);
	MPI_Finalize();
	return 0;
}
