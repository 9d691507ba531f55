# SPDX-License-Identifier: GPL-3.0-or-later
foreach(part test_site test_site_import)
  navette_unit_test(${part} LIBS nv_site)
  target_sources(${part} PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit/site_fixture.c)
endforeach()
