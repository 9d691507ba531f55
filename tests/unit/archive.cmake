# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_archive LIBS nv_archive nv_store nv_base)
target_sources(test_archive PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit/test_archive_bad.c
  ${PROJECT_SOURCE_DIR}/tests/unit/test_archive_collect.c
  ${PROJECT_SOURCE_DIR}/tests/unit/test_archive_tools.c)
navette_unit_test(test_opened LIBS nv_archive nv_store nv_base)
navette_unit_test(test_known LIBS nv_archive nv_base)
