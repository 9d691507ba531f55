# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_proto LIBS nv_proto nv_base)
