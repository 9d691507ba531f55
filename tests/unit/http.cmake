# SPDX-License-Identifier: GPL-3.0-or-later
if(TARGET nv_http)
  foreach(name test_http test_http_limits)
    navette_unit_test(${name} LIBS nv_http)
    target_sources(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/http_fixture.c)
  endforeach()
  navette_unit_test(test_peer LIBS nv_http)
endif()
