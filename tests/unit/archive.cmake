# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_archive LIBS nv_archive nv_store nv_base)
target_sources(test_archive PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit/test_archive_bad.c
  ${PROJECT_SOURCE_DIR}/tests/unit/test_archive_collect.c
  ${PROJECT_SOURCE_DIR}/tests/unit/test_archive_odd.c
  ${PROJECT_SOURCE_DIR}/tests/unit/test_archive_tools.c)
foreach(test test_opened test_durable)
  navette_unit_test(${test} LIBS nv_archive nv_store nv_base)
  target_sources(${test} PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit/archive_fixture.c)
endforeach()
# It watches what reaches the disk, and when.
target_link_options(test_durable PRIVATE LINKER:--wrap=fsync,--wrap=rename)
navette_unit_test(test_decompress LIBS nv_archive nv_base)
target_compile_definitions(test_decompress PRIVATE CORPUS="${PROJECT_SOURCE_DIR}/tests/fuzz/corpus")
navette_unit_test(test_known LIBS nv_archive nv_base)
