# SPDX-License-Identifier: GPL-3.0-or-later
# The command as people call it, beside a RabbitMQ node of its own.
add_executable(cli_archive ${PROJECT_SOURCE_DIR}/tests/unit/cli_archive.c)
target_link_libraries(cli_archive PRIVATE navette_flags nv_archive nv_base)
add_test(NAME unit.cli
  COMMAND ${PROJECT_SOURCE_DIR}/tests/unit/with_rabbitmq
          /usr/bin/python3 -m pytest -q -p no:cacheprovider
          ${PROJECT_SOURCE_DIR}/tests/unit/cli_test.py)
set_tests_properties(unit.cli PROPERTIES TIMEOUT 240 LABELS unit
  ENVIRONMENT "NAVETTE_SOURCE=${PROJECT_SOURCE_DIR};NAVETTE_BIN=$<TARGET_FILE:navette>;NAVETTE_CLI_ARCHIVE=$<TARGET_FILE:cli_archive>;PYTHONDONTWRITEBYTECODE=1")

add_library(doctor_lies MODULE ${PROJECT_SOURCE_DIR}/tests/unit/doctor_lies.c)
add_test(NAME unit.doctor
  COMMAND ${PROJECT_SOURCE_DIR}/tests/unit/with_rabbitmq
          /usr/bin/python3 -m pytest -q -p no:cacheprovider
          ${PROJECT_SOURCE_DIR}/tests/unit/doctor_test.py)
set_tests_properties(unit.doctor PROPERTIES TIMEOUT 240 LABELS unit
  ENVIRONMENT "NAVETTE_SOURCE=${PROJECT_SOURCE_DIR};NAVETTE_BIN=$<TARGET_FILE:navette>;NAVETTE_LIES=$<TARGET_FILE:doctor_lies>;PYTHONDONTWRITEBYTECODE=1")
