/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One digest for a tag on all nodes of a job step: the first node records in the store what the tag
 * meant, the others take that, though it may have moved meanwhile.
 *
 * The record lies in the first directory of the chain of stores, if the user may write there; else
 * nothing is recorded. It counts for a day.
 * Source: hpcrun-store(5) JOBS.
 */
#ifndef STORE_JOB_H
#define STORE_JOB_H

#include <stdbool.h>

#include "fetch/fetch.h"
#include "store/layout.h"

/*
 * Whether IMAGE has a record in the job step that the environment tells of; *OUT is its manifest
 * then. Failures are "no".
 */
bool store_job_find(const struct store_paths *stores, const char *image, struct fetch_digest *out);

/*
 * Record *M as what IMAGE means, unless another node was faster: *M becomes its manifest then.
 * Nothing happens outside a step of several nodes, for a digest, and where it cannot be written.
 *
 * Whether all nodes of the step take *M: false where it cannot be written.
 */
bool store_job_settle(const struct store_paths *stores, const char *image, struct fetch_digest *m);

#endif
