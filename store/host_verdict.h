/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the host's MPI and the libraries of its GPUs fit an image that is here, as 'hpcrun
 * mpi-check' tells: by running that, for it takes a session, and what looks at libraries is above
 * this layer.
 *
 * For: hpcrun plan. The front door hands its own path down in the environment.
 * Sequence: store_host_verdict_get(); text or json; store_host_verdict_release().
 */
#ifndef STORE_HOST_VERDICT_H
#define STORE_HOST_VERDICT_H

#include <jansson.h>
#include <stdbool.h>

#include "fetch/fetch.h"
#include "util/conf.h"
#include "util/mem.h"

struct store_host_verdict {
	json_t *gpu;			       /* that member of what mpi-check --json prints */
	json_t *mpi;			       /* the others */
	const char *gpu_unknown, *mpi_unknown; /* why they are NULL */
	bool gpu_due, mpi_due;		       /* although there is something to be told */
};

/*
 * Ask about the image MANIFEST in the stores GIVEN (--store), else those that hpcrun finds by
 * itself. Of MPI nothing is told where CONF names none of the host.
 */
void store_host_verdict_get(const struct hr_conf *conf, const struct hr_strv *given,
			    const struct fetch_digest *manifest, struct store_host_verdict *out);
void store_host_verdict_release(struct store_host_verdict *v);

/* In one line, which the caller frees; NULL: there is nothing to be told. Words of the image are
 * made visible. */
char *store_host_verdict_mpi(const struct store_host_verdict *v);
char *store_host_verdict_gpu(const struct store_host_verdict *v);

/* The host has GPUs, and their libraries were compared with the image. */
bool store_host_verdict_knows_gpu(const struct store_host_verdict *v);

#endif
