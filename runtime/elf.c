/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/elf.h"

#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/poison.h"

/* No library comes near these; a hostile file must not make us allocate what it likes. */
#define SECTION_MAX (64u << 20)
#define RECORDS_MAX 65536u
#define SYMBOLS_MAX (1u << 21)
#define STRING_MAX  4096u

struct reader {
	Elf *elf;
	const char *what;
	struct hr_err *e;
};

static int damaged(const struct reader *r, const char *why)
{
	return hr_fail(r->e, HR_CORRUPT, 0, "'%s' is no usable shared library: %s", r->what, why);
}

static int broken(const struct reader *r)
{
	return damaged(r, elf_errmsg(-1));
}

/* The first section of TYPE; NULL when there is none. */
static Elf_Scn *find_section(const struct reader *r, GElf_Word type, GElf_Shdr *sh)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(r->elf, scn)) != NULL)
		if (gelf_getshdr(scn, sh) && sh->sh_type == type)
			return scn;
	return NULL;
}

/* Its data, and its strings' section looked at; NULL with the error filled. */
static Elf_Data *section_data(const struct reader *r, Elf_Scn *scn, const GElf_Shdr *sh)
{
	Elf_Scn *strings = elf_getscn(r->elf, sh->sh_link);
	Elf_Data *data = NULL;
	GElf_Shdr str;

	if (!strings || !gelf_getshdr(strings, &str) || str.sh_type != SHT_STRTAB)
		damaged(r, "a section has no strings");
	else if (sh->sh_size > SECTION_MAX || str.sh_size > SECTION_MAX)
		damaged(r, "a section is too large");
	else if ((sh->sh_flags | str.sh_flags) & SHF_COMPRESSED)
		damaged(r, "a section is compressed");
	else if (!(data = elf_getdata(scn, NULL)) || !data->d_buf)
		damaged(r, "a section lies outside of the file"), data = NULL;
	return data;
}

/* A string of section STRINGS; NULL with the error filled. */
static const char *string_at(const struct reader *r, GElf_Word strings, uint64_t off)
{
	const char *s = elf_strptr(r->elf, strings, off);

	if (!s)
		damaged(r, "a name lies outside of its strings");
	else if (strnlen(s, STRING_MAX) == STRING_MAX)
		damaged(r, "a name is too long"), s = NULL;
	return s;
}

static int set_string(const struct reader *r, const GElf_Shdr *sh, uint64_t off, char **out)
{
	const char *s = string_at(r, sh->sh_link, off);

	if (!s)
		return -1;
	free(*out);
	*out = hr_xstrdup(s);
	return 0;
}

static int take_entry(const struct reader *r, const GElf_Shdr *sh, const GElf_Dyn *dyn,
		      struct rt_elf *out)
{
	const char *name;

	switch (dyn->d_tag) {
	case DT_SONAME:
		return set_string(r, sh, dyn->d_un.d_val, &out->soname);
	case DT_RPATH:
		return set_string(r, sh, dyn->d_un.d_val, &out->rpath);
	case DT_RUNPATH:
		return set_string(r, sh, dyn->d_un.d_val, &out->runpath);
	case DT_NEEDED:
		name = string_at(r, sh->sh_link, dyn->d_un.d_val);
		if (!name)
			return -1;
		if (name[0] == '\0' || strchr(name, '/') || out->needed.n >= RECORDS_MAX)
			return damaged(r, "it needs a library by a name that is none");
		hr_strv_add(&out->needed, name);
		return 0;
	default:
		return 0;
	}
}

static int read_dynamic(const struct reader *r, struct rt_elf *out)
{
	GElf_Shdr sh;
	Elf_Scn *scn = find_section(r, SHT_DYNAMIC, &sh);
	Elf_Data *data;
	GElf_Dyn dyn;

	if (!scn)
		return damaged(r, "it has no dynamic section");
	data = section_data(r, scn, &sh);
	if (!data)
		return -1;
	for (int i = 0; gelf_getdyn(data, i, &dyn) && dyn.d_tag != DT_NULL; i++)
		if (take_entry(r, &sh, &dyn, out) < 0)
			return -1;
	return 0;
}

static int add_need(const struct reader *r, const GElf_Shdr *sh, const GElf_Verneed *file,
		    const GElf_Vernaux *version, struct rt_elf *out)
{
	const char *f, *v;

	if (version->vna_flags & VER_FLG_WEAK)
		return 0;
	f = string_at(r, sh->sh_link, file->vn_file);
	v = f ? string_at(r, sh->sh_link, version->vna_name) : NULL;
	if (!v)
		return -1;
	if (out->n_needs >= RECORDS_MAX)
		return damaged(r, "it needs too many versions");
	out->needs = hr_xrealloc(out->needs, (out->n_needs + 1) * sizeof(*out->needs));
	out->needs[out->n_needs++] =
		(struct rt_elf_need) { .file = hr_xstrdup(f), .version = hr_xstrdup(v) };
	return 0;
}

/* Step to the next record of a chain; false at its end. Chains go forward, so they end. */
static bool advance(const Elf_Data *data, uint64_t *at, uint64_t by)
{
	*at += by;
	return by > 0 && *at < data->d_size;
}

static int read_needs(const struct reader *r, struct rt_elf *out)
{
	GElf_Shdr sh;
	Elf_Scn *scn = find_section(r, SHT_GNU_verneed, &sh);
	Elf_Data *data = scn ? section_data(r, scn, &sh) : NULL;
	GElf_Verneed file;
	GElf_Vernaux version;
	uint64_t at = 0;

	if (!scn)
		return 0;
	if (!data)
		return -1;
	do {
		uint64_t aux = at;

		if (!gelf_getverneed(data, (int)at, &file))
			return broken(r);
		if (!advance(data, &aux, file.vn_aux))
			return damaged(r, "a needed version lies outside of its section");
		do {
			if (!gelf_getvernaux(data, (int)aux, &version))
				return broken(r);
			if (add_need(r, &sh, &file, &version, out) < 0)
				return -1;
		} while (advance(data, &aux, version.vna_next));
	} while (advance(data, &at, file.vn_next));
	return 0;
}

static int read_versions(const struct reader *r, struct rt_elf *out)
{
	GElf_Shdr sh;
	Elf_Scn *scn = find_section(r, SHT_GNU_verdef, &sh);
	Elf_Data *data = scn ? section_data(r, scn, &sh) : NULL;
	GElf_Verdef def;
	GElf_Verdaux name;
	uint64_t at = 0;

	if (!scn)
		return 0;
	if (!data)
		return -1;
	do {
		uint64_t aux = at;
		const char *s;

		if (!gelf_getverdef(data, (int)at, &def))
			return broken(r);
		/* the first name is its own, others are its parents' */
		if (!advance(data, &aux, def.vd_aux) || !gelf_getverdaux(data, (int)aux, &name))
			return damaged(r, "a defined version lies outside of its section");
		s = string_at(r, sh.sh_link, name.vda_name);
		if (!s)
			return -1;
		if (out->versions.n >= RECORDS_MAX)
			return damaged(r, "it defines too many versions");
		if (!(def.vd_flags & VER_FLG_BASE))
			hr_strv_add(&out->versions, s);
	} while (advance(data, &at, def.vd_next));
	return 0;
}

static int check_kind(const struct reader *r, GElf_Ehdr *eh)
{
	if (elf_kind(r->elf) != ELF_K_ELF || !gelf_getehdr(r->elf, eh))
		return damaged(r, "it is no ELF file");
	if (eh->e_type != ET_DYN)
		return damaged(r, "its ELF type is not that of a library");
	return 0;
}

static int read_all(Elf *elf, const char *what, struct rt_elf *out, struct hr_err *e)
{
	struct reader r = { elf, what, e };
	GElf_Ehdr eh;

	memset(out, 0, sizeof(*out));
	if (check_kind(&r, &eh) < 0)
		return -1;
	out->class = eh.e_ident[EI_CLASS];
	out->data = eh.e_ident[EI_DATA];
	out->machine = eh.e_machine;
	if (read_dynamic(&r, out) < 0 || read_needs(&r, out) < 0)
		return -1;
	return read_versions(&r, out);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct hr_strv *l)
{
	size_t kept = 0;

	if (l->n == 0)
		return;
	qsort(l->v, l->n, sizeof(*l->v), compare);
	for (size_t i = 1; i < l->n; i++) {
		if (strcmp(l->v[kept], l->v[i]) == 0)
			free(l->v[i]);
		else
			l->v[++kept] = l->v[i];
	}
	l->n = kept + 1;
	l->v[l->n] = NULL;
}

static int read_symbols(Elf *elf, const char *what, struct rt_elf_symbols *out, struct hr_err *e)
{
	struct reader r = { elf, what, e };
	Elf_Data *data;
	GElf_Ehdr eh;
	GElf_Shdr sh;
	GElf_Sym sym;
	Elf_Scn *scn;

	memset(out, 0, sizeof(*out));
	if (check_kind(&r, &eh) < 0)
		return -1;
	scn = find_section(&r, SHT_DYNSYM, &sh);
	if (!scn)
		return damaged(&r, "it has no dynamic symbols");
	data = section_data(&r, scn, &sh);
	if (!data)
		return -1;
	for (int i = 1; i < (int)SYMBOLS_MAX && gelf_getsym(data, i, &sym); i++) {
		bool weak = GELF_ST_BIND(sym.st_info) == STB_WEAK;
		const char *name = string_at(&r, sh.sh_link, sym.st_name);

		if (!name)
			return -1;
		if (name[0] == '\0' || GELF_ST_BIND(sym.st_info) == STB_LOCAL)
			continue;
		if (sym.st_shndx != SHN_UNDEF)
			hr_strv_add(&out->defined, name);
		else if (!weak)
			hr_strv_add(&out->wanted, name);
	}
	sort(&out->defined);
	sort(&out->wanted);
	return 0;
}

static void end_cleanup(Elf **elf)
{
	elf_end(*elf);
}

static Elf *begin_file(int fd, const char *what, struct hr_err *e)
{
	struct stat st;
	Elf *elf;

	if (fstat(fd, &st) < 0) {
		hr_fail(e, HR_SYS, errno, "cannot look at '%s'", what);
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		hr_fail(e, HR_CORRUPT, 0, "'%s' is no usable shared library: it is no file", what);
		return NULL;
	}
	elf_version(EV_CURRENT);
	/* by reading, not mapping: an image whose server fails is an error then, not a SIGBUS */
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		hr_fail(e, HR_SYS, 0, "cannot read '%s': %s", what, elf_errmsg(-1));
	return elf;
}

static Elf *begin_memory(const uint8_t *p, size_t n, const char *what, struct hr_err *e)
{
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_memory((char *)(uintptr_t)p, n); /* read only: nothing is updated */
	if (!elf)
		hr_fail(e, HR_CORRUPT, 0, "'%s' is no usable shared library: %s", what,
			elf_errmsg(-1));
	return elf;
}

int rt_elf_read(int fd, const char *what, struct rt_elf *out, struct hr_err *e)
{
	HR_CLEANUP(end_cleanup) Elf *elf = begin_file(fd, what, e);

	memset(out, 0, sizeof(*out));
	return elf ? read_all(elf, what, out, e) : -1;
}

int rt_elf_parse(const uint8_t *p, size_t n, const char *what, struct rt_elf *out, struct hr_err *e)
{
	HR_CLEANUP(end_cleanup) Elf *elf = begin_memory(p, n, what, e);

	memset(out, 0, sizeof(*out));
	return elf ? read_all(elf, what, out, e) : -1;
}

int rt_elf_symbols_read(int fd, const char *what, struct rt_elf_symbols *out, struct hr_err *e)
{
	HR_CLEANUP(end_cleanup) Elf *elf = begin_file(fd, what, e);

	memset(out, 0, sizeof(*out));
	return elf ? read_symbols(elf, what, out, e) : -1;
}

int rt_elf_symbols_parse(const uint8_t *p, size_t n, const char *what, struct rt_elf_symbols *out,
			 struct hr_err *e)
{
	HR_CLEANUP(end_cleanup) Elf *elf = begin_memory(p, n, what, e);

	memset(out, 0, sizeof(*out));
	return elf ? read_symbols(elf, what, out, e) : -1;
}

void rt_elf_symbols_release(struct rt_elf_symbols *s)
{
	hr_strv_release(&s->defined);
	hr_strv_release(&s->wanted);
	memset(s, 0, sizeof(*s));
}

void rt_elf_release(struct rt_elf *elf)
{
	free(elf->soname);
	free(elf->rpath);
	free(elf->runpath);
	for (size_t i = 0; i < elf->n_needs; i++) {
		free(elf->needs[i].file);
		free(elf->needs[i].version);
	}
	free(elf->needs);
	hr_strv_release(&elf->needed);
	hr_strv_release(&elf->versions);
	memset(elf, 0, sizeof(*elf));
}

bool rt_elf_has(const struct hr_strv *sorted, const char *name)
{
	return sorted->n > 0 &&
	       bsearch(&name, sorted->v, sorted->n, sizeof(*sorted->v), compare) != NULL;
}

bool rt_elf_defines(const struct rt_elf *elf, const char *version)
{
	for (size_t i = 0; i < elf->versions.n; i++)
		if (strcmp(elf->versions.v[i], version) == 0)
			return true;
	return false;
}

bool rt_elf_same_machine(const struct rt_elf *a, const struct rt_elf *b)
{
	return a->class == b->class && a->data == b->data && a->machine == b->machine;
}

char *rt_elf_machine_text(const struct rt_elf *elf)
{
	static const struct {
		uint16_t machine;
		const char *name;
	} names[] = {
		{ EM_386, "x86" },	   { EM_X86_64, "x86-64" },	  { EM_ARM, "Arm" },
		{ EM_AARCH64, "AArch64" }, { EM_PPC64, "POWER" },	  { EM_RISCV, "RISC-V" },
		{ EM_S390, "s390" },	   { EM_LOONGARCH, "LoongArch" },
	};
	const char *bits = elf->class == ELFCLASS32 ? "32" : "64";

	for (size_t i = 0; i < HR_COUNT(names); i++)
		if (names[i].machine == elf->machine)
			return hr_xasprintf("%s, %s-bit", names[i].name, bits);
	return hr_xasprintf("machine %u, %s-bit", elf->machine, bits);
}
