# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_proto LIBS nv_proto nv_base)
navette_unit_test(test_inventory LIBS nv_proto nv_base)
navette_unit_test(test_envelope LIBS nv_proto nv_base PkgConfig::MSGPACK PkgConfig::SODIUM)
navette_unit_test(test_keys LIBS nv_proto nv_base)

# The wire format against Python's msgpack and PyNaCl (Debian's own python3, which has them).
add_executable(proto_vectors ${PROJECT_SOURCE_DIR}/tests/unit/proto_vectors.c)
target_link_libraries(proto_vectors PRIVATE navette_flags nv_proto nv_base)
add_test(NAME unit.proto_vectors
  COMMAND /usr/bin/python3 ${PROJECT_SOURCE_DIR}/tests/unit/proto_vectors.py
          $<TARGET_FILE:proto_vectors>)
set_tests_properties(unit.proto_vectors PROPERTIES TIMEOUT 120 LABELS unit
  ENVIRONMENT "NAVETTE_SOURCE=${PROJECT_SOURCE_DIR}")
