# Layer 2: images at rest. One source a line, so that two changes seldom meet.
noinst_LIBRARIES += libstore.a
libstore_a_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS) $(CRYPTO_CFLAGS) $(ISAL_CFLAGS)
libstore_a_SOURCES = \
	store/heap.c store/heap.h \
	store/idmap.c store/idmap.h \
	store/index.c store/index.h \
	store/index_build.c store/index_format.h \
	store/store.h
