# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_topology LIBS nv_topology nv_broker_admin)
