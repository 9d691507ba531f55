# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_digest LIBS nv_store nv_base)
# Not navette_unit_test: it runs beside servers of its own.
add_executable(test_store ${PROJECT_SOURCE_DIR}/tests/unit/test_store.c
  ${PROJECT_SOURCE_DIR}/tests/unit/test_store_faults.c)
target_link_libraries(test_store PRIVATE navette_flags PkgConfig::CMOCKA nv_store nv_base)
add_test(NAME unit.test_store
  COMMAND ${PROJECT_SOURCE_DIR}/tests/unit/with_s3
          ${PROJECT_SOURCE_DIR}/tests/unit/with_dav $<TARGET_FILE:test_store>)
set_tests_properties(unit.test_store PROPERTIES TIMEOUT 240 LABELS unit
  ENVIRONMENT "NAVETTE_BUILD=${CMAKE_BINARY_DIR};NAVETTE_SOURCE=${PROJECT_SOURCE_DIR}")
add_executable(store_tool ${PROJECT_SOURCE_DIR}/tests/unit/store_tool.c)
target_link_libraries(store_tool PRIVATE navette_flags nv_store nv_base)
add_test(NAME unit.s3 COMMAND /usr/bin/python3 -B -m pytest -q -p no:cacheprovider
  ${PROJECT_SOURCE_DIR}/tests/unit/s3_test.py)
set_tests_properties(unit.s3 PROPERTIES TIMEOUT 300 LABELS unit
  ENVIRONMENT "NAVETTE_BUILD=${CMAKE_BINARY_DIR};NAVETTE_SOURCE=${PROJECT_SOURCE_DIR};STORE_TOOL=$<TARGET_FILE:store_tool>")
