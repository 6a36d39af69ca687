# unit tests of store: libstore.a and the layers below
STORE_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
STORE_TEST_LIBS = libstore.a libfetch.a libutil.a $(ISAL_LIBS) $(ZSTD_LIBS) $(JANSSON_LIBS) $(CURL_LIBS) \
	$(CRYPTO_LIBS) $(INIH_LIBS) $(CMOCKA_LIBS) -lpthread
TREE_REMOVE = tests/unit/tree_remove.c tests/unit/tree_remove.h
STORE_RIG = tests/unit/store_rig.c tests/unit/store_rig.h $(TREE_REMOVE)
STORE_TESTS = tests/unit/test_store_cut tests/unit/test_store_inflate tests/unit/test_store_merge tests/unit/test_store_tar \
	tests/unit/test_store_gc tests/unit/test_store_text tests/unit/test_store_layer tests/unit/test_store_record tests/unit/test_store_sha256mb \
	tests/unit/test_store_site tests/unit/test_store_frame tests/unit/test_store_pack \
	tests/unit/test_store_layout tests/unit/test_store_repack tests/unit/test_store_process \
	tests/unit/test_store_outage

check_PROGRAMS += $(STORE_TESTS)
TESTS += $(STORE_TESTS)
tests_unit_test_store_layer_SOURCES = tests/unit/test_store_layer.c
tests_unit_test_store_layer_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_layer_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_frame_SOURCES = tests/unit/test_store_frame.c
tests_unit_test_store_frame_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_frame_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_pack_SOURCES = tests/unit/test_store_pack.c $(TREE_REMOVE)
tests_unit_test_store_pack_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_pack_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_layout_SOURCES = tests/unit/test_store_layout.c $(STORE_RIG)
tests_unit_test_store_layout_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_layout_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_repack_SOURCES = tests/unit/test_store_repack.c $(STORE_RIG)
tests_unit_test_store_repack_CFLAGS = $(STORE_TEST_CFLAGS) $(ZSTD_CFLAGS)
tests_unit_test_store_repack_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_site_SOURCES = tests/unit/test_store_site.c
tests_unit_test_store_site_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_site_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_record_SOURCES = tests/unit/test_store_record.c
tests_unit_test_store_record_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_record_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_sha256mb_SOURCES = tests/unit/test_store_sha256mb.c
tests_unit_test_store_sha256mb_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_sha256mb_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_outage_SOURCES = tests/unit/test_store_outage.c $(STORE_RIG)
tests_unit_test_store_outage_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_outage_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_process_SOURCES = tests/unit/test_store_process.c
tests_unit_test_store_process_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_process_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_gc_SOURCES = tests/unit/test_store_gc.c $(STORE_RIG)
tests_unit_test_store_gc_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_gc_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_text_SOURCES = tests/unit/test_store_text.c
tests_unit_test_store_text_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_text_LDADD = $(STORE_TEST_LIBS)

# the node cache, and paging through it
check_PROGRAMS += tests/unit/test_store_cache tests/unit/test_store_cache_move
TESTS += tests/unit/test_store_cache tests/unit/test_store_cache_move
tests_unit_test_store_cache_move_SOURCES = tests/unit/test_store_cache_move.c $(TREE_REMOVE)
tests_unit_test_store_cache_move_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_cache_move_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_cache_SOURCES = tests/unit/test_store_cache.c
tests_unit_test_store_cache_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_cache_LDADD = $(STORE_TEST_LIBS)

# what no store has any more
check_PROGRAMS += tests/unit/test_store_upstream tests/unit/test_store_refill
TESTS += tests/unit/test_store_upstream tests/unit/test_store_refill
CHUNK_RIG = tests/unit/chunk_rig.c tests/unit/chunk_rig.h $(INDEX_SAMPLE) $(STORE_RIG)
tests_unit_test_store_upstream_SOURCES = tests/unit/test_store_upstream.c $(CHUNK_RIG)
tests_unit_test_store_upstream_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_upstream_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_refill_SOURCES = tests/unit/test_store_refill.c $(CHUNK_RIG)
tests_unit_test_store_refill_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_refill_LDADD = $(STORE_TEST_LIBS)

# a store whose files others replace, or write as well
check_PROGRAMS += tests/unit/test_store_stale tests/unit/test_store_writers
TESTS += tests/unit/test_store_stale tests/unit/test_store_writers
tests_unit_test_store_writers_SOURCES = tests/unit/test_store_writers.c $(STORE_RIG)
tests_unit_test_store_writers_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_writers_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_stale_SOURCES = tests/unit/test_store_stale.c $(CHUNK_RIG)
tests_unit_test_store_stale_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_stale_LDADD = $(STORE_TEST_LIBS)

# image files of others
check_PROGRAMS += tests/unit/test_store_sif tests/unit/test_store_sqfs
TESTS += tests/unit/test_store_sif tests/unit/test_store_sqfs
tests_unit_test_store_sif_SOURCES = tests/unit/test_store_sif.c
tests_unit_test_store_sif_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_sif_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_sqfs_SOURCES = tests/unit/test_store_sqfs.c
tests_unit_test_store_sqfs_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_sqfs_LDADD = $(STORE_TEST_LIBS) $(DL_LIBS)
check_PROGRAMS += tests/unit/test_store_sqfs_meta
TESTS += tests/unit/test_store_sqfs_meta
tests_unit_test_store_sqfs_meta_SOURCES = tests/unit/test_store_sqfs_meta.c store/sqfs_index.c store/sqfs_meta.c \
	store/sqfs_table.c
tests_unit_test_store_sqfs_meta_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_sqfs_meta_LDADD = $(STORE_TEST_LIBS) $(DL_LIBS)
check_PROGRAMS += tests/unit/test_store_in_order
TESTS += tests/unit/test_store_in_order
tests_unit_test_store_in_order_SOURCES = tests/unit/test_store_in_order.c tests/unit/index_sample.c
tests_unit_test_store_in_order_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_in_order_LDADD = $(STORE_TEST_LIBS)
check_PROGRAMS += tests/unit/test_store_trace
TESTS += tests/unit/test_store_trace
tests_unit_test_store_trace_SOURCES = tests/unit/test_store_trace.c
tests_unit_test_store_trace_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_trace_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_cut_SOURCES = tests/unit/test_store_cut.c
tests_unit_test_store_cut_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_cut_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_inflate_SOURCES = tests/unit/test_store_inflate.c
tests_unit_test_store_inflate_CFLAGS = $(STORE_TEST_CFLAGS) $(ISAL_CFLAGS) $(ZSTD_CFLAGS)
tests_unit_test_store_inflate_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_merge_SOURCES = tests/unit/test_store_merge.c
tests_unit_test_store_merge_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_merge_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_tar_SOURCES = tests/unit/test_store_tar.c
tests_unit_test_store_tar_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_tar_LDADD = $(STORE_TEST_LIBS)
check_PROGRAMS += tests/unit/test_store_meta
TESTS += tests/unit/test_store_meta
tests_unit_test_store_meta_SOURCES = tests/unit/test_store_meta.c
tests_unit_test_store_meta_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_meta_LDADD = $(STORE_TEST_LIBS)
