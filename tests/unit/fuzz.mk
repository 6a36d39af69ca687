# Fuzz targets of util, fetch and store, here with a main that replays their corpus and what is nearest to it;
# tests/fuzz/run builds the same with a fuzzer.
FUZZ_REPLAY = tests/fuzz/replay.c tests/fuzz/fuzz.h
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/run

check_PROGRAMS += tests/fuzz/fuzz_index
TESTS += tests/fuzz/fuzz_index
tests_fuzz_fuzz_index_SOURCES = tests/fuzz/fuzz_index.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_index_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/index"'
tests_fuzz_fuzz_index_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS)
tests_fuzz_fuzz_index_LDADD = libstore.a libutil.a

check_PROGRAMS += tests/fuzz/fuzz_ref
TESTS += tests/fuzz/fuzz_ref
tests_fuzz_fuzz_ref_SOURCES = tests/fuzz/fuzz_ref.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_ref_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/ref"'
tests_fuzz_fuzz_ref_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS)
tests_fuzz_fuzz_ref_LDADD = libfetch.a libutil.a $(CURL_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_header
TESTS += tests/fuzz/fuzz_header
tests_fuzz_fuzz_header_SOURCES = tests/fuzz/fuzz_header.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_header_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/header"'
tests_fuzz_fuzz_header_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_header_LDADD = libfetch.a libutil.a

check_PROGRAMS += tests/fuzz/fuzz_manifest
TESTS += tests/fuzz/fuzz_manifest
tests_fuzz_fuzz_manifest_SOURCES = tests/fuzz/fuzz_manifest.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_manifest_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/manifest"'
tests_fuzz_fuzz_manifest_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS)
tests_fuzz_fuzz_manifest_LDADD = libfetch.a libutil.a $(CURL_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_conf
TESTS += tests/fuzz/fuzz_conf
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_conf_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/conf"'
tests_fuzz_fuzz_conf_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS)
tests_fuzz_fuzz_conf_LDADD = libutil.a $(INIH_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_tar
TESTS += tests/fuzz/fuzz_tar
tests_fuzz_fuzz_tar_SOURCES = tests/fuzz/fuzz_tar.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_tar_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/tar"'
tests_fuzz_fuzz_tar_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS)
tests_fuzz_fuzz_tar_LDADD = libstore.a libfetch.a libutil.a $(CRYPTO_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_site
TESTS += tests/fuzz/fuzz_site
tests_fuzz_fuzz_site_SOURCES = tests/fuzz/fuzz_site.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_site_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/site"'
tests_fuzz_fuzz_site_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_site_LDADD = libstore.a libfetch.a libutil.a $(CRYPTO_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_object
TESTS += tests/fuzz/fuzz_object
tests_fuzz_fuzz_object_SOURCES = tests/fuzz/fuzz_object.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_object_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/object"'
tests_fuzz_fuzz_object_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS)
tests_fuzz_fuzz_object_LDADD = libstore.a libfetch.a libutil.a $(ISAL_LIBS) $(CRYPTO_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_inflate
TESTS += tests/fuzz/fuzz_inflate
tests_fuzz_fuzz_inflate_SOURCES = tests/fuzz/fuzz_inflate.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_inflate_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/inflate"'
tests_fuzz_fuzz_inflate_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS)
tests_fuzz_fuzz_inflate_LDADD = libstore.a libfetch.a libutil.a $(ISAL_LIBS) $(ZSTD_LIBS) $(CRYPTO_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_sif tests/fuzz/fuzz_sqfs
TESTS += tests/fuzz/fuzz_sif tests/fuzz/fuzz_sqfs
tests_fuzz_fuzz_sif_SOURCES = tests/fuzz/fuzz_sif.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_sif_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/sif"'
tests_fuzz_fuzz_sif_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_sif_LDADD = libstore.a libutil.a
tests_fuzz_fuzz_sqfs_SOURCES = tests/fuzz/fuzz_sqfs.c $(FUZZ_REPLAY) store/sqfs_index.c store/sqfs_meta.c \
	store/sqfs_table.c
tests_fuzz_fuzz_sqfs_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/sqfs"'
tests_fuzz_fuzz_sqfs_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_sqfs_LDADD = libstore.a libfetch.a libutil.a $(ZSTD_LIBS) $(ISAL_LIBS) $(DL_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_native
TESTS += tests/fuzz/fuzz_native
tests_fuzz_fuzz_native_SOURCES = tests/fuzz/fuzz_native.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_native_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/native"'
tests_fuzz_fuzz_native_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS)
tests_fuzz_fuzz_native_LDADD = libstore.a libfetch.a libutil.a $(ISAL_LIBS)
check_PROGRAMS += tests/fuzz/fuzz_meta
TESTS += tests/fuzz/fuzz_meta
tests_fuzz_fuzz_meta_SOURCES = tests/fuzz/fuzz_meta.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_meta_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/meta"'
tests_fuzz_fuzz_meta_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_meta_LDADD = libstore.a libfetch.a libutil.a $(ZSTD_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_loaded
TESTS += tests/fuzz/fuzz_loaded
tests_fuzz_fuzz_loaded_SOURCES = tests/fuzz/fuzz_loaded.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_loaded_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/loaded"'
tests_fuzz_fuzz_loaded_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_loaded_LDADD = libstore.a libutil.a
check_PROGRAMS += tests/fuzz/fuzz_python
TESTS += tests/fuzz/fuzz_python
tests_fuzz_fuzz_python_SOURCES = tests/fuzz/fuzz_python.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_python_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/python"'
tests_fuzz_fuzz_python_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_python_LDADD = libstore.a libutil.a
