/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the name of an image means to a user: a reference, a file of this machine, or a file behind
 * a URL. Pure; one rule for the runtime, which starts images, and the store, which brings them in.
 */
#ifndef HR_SOURCE_H
#define HR_SOURCE_H

enum hr_source {
	HR_SOURCE_REF,	/* "alpine:3.20", "sha256:...": in a store */
	HR_SOURCE_FILE, /* "./x.sif", "/x", "x.sqfs": in place */
	HR_SOURCE_URL	/* "https://host/x.sqfs": in place, by ranges */
};

/*
 * A path begins with "/", "./" or "../", or ends as the files of images do: .sif, .simg, .sqfs,
 * .squashfs, .sqsh. A URL begins with http:// or https://.
 */
enum hr_source hr_source_of(const char *name);

#endif
