# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_proto LIBS nv_proto nv_base)
navette_unit_test(test_envelope LIBS nv_proto nv_base PkgConfig::MSGPACK PkgConfig::SODIUM)
navette_unit_test(test_keys LIBS nv_proto nv_base)
