# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_base LIBS nv_base)
navette_unit_test(test_config LIBS nv_base)
navette_unit_test(test_parallel LIBS nv_base)
navette_unit_test(test_json LIBS nv_base)
navette_unit_test(test_xml LIBS nv_base)
