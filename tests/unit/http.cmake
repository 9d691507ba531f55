# SPDX-License-Identifier: GPL-3.0-or-later
if(TARGET nv_http)
  navette_unit_test(test_http LIBS nv_http)
  navette_unit_test(test_peer LIBS nv_http)
endif()
