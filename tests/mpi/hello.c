/* SPDX-License-Identifier: BSD-3-Clause */
/* Says which rank of how many it is, with which MPI; ranks 0 and 1 play ping-pong with 4 MiB. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/poison.h"

#define BYTES (4 << 20)
#define TURNS 50

static void ping_pong(int rank)
{
	char *buf = calloc(BYTES, 1);
	double start = MPI_Wtime();

	for (int i = 0; i < 2 * TURNS; i++) {
		if (i % 2 == rank)
			MPI_Send(buf, BYTES, MPI_BYTE, 1 - rank, 0, MPI_COMM_WORLD);
		else
			MPI_Recv(buf, BYTES, MPI_BYTE, 1 - rank, 0, MPI_COMM_WORLD,
				 MPI_STATUS_IGNORE);
	}
	if (rank == 0)
		printf("4 MiB ping-pong: %.0f MB/s\n",
		       2.0 * TURNS * BYTES / 1e6 / (MPI_Wtime() - start));
	free(buf);
}

int main(int argc, char **argv)
{
	char version[MPI_MAX_LIBRARY_VERSION_STRING];
	int n, rank, size, sum = -1;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	MPI_Get_library_version(version, &n);
	MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
	if (size > 1 && rank < 2)
		ping_pong(rank);
	for (char *s = version; *s; s++)
		if (*s == '\n' || *s == '\t')
			*s = ' ';
	printf("rank %d of %d, sum %d, %.40s\n", rank, size, sum, version);
	MPI_Finalize();
	return 0;
}
