# SPDX-License-Identifier: GPL-3.0-or-later
foreach(name test_status test_status_live test_status_log test_status_survey test_status_waiting test_status_accepted)
  navette_unit_test(${name} LIBS nv_status)
  target_sources(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/status_fixture.c)
endforeach()
