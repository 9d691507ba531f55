# SPDX-License-Identifier: GPL-3.0-or-later
# Each of these has a RabbitMQ node of its own.
add_library(bus_rig STATIC ${PROJECT_SOURCE_DIR}/tests/unit/bus_rig.c)
target_link_libraries(bus_rig PUBLIC navette_flags nv_bus nv_broker_admin PkgConfig::CMOCKA)
foreach(name test_bus test_bus_faults test_bus_queues test_broker)
  add_executable(${name} ${PROJECT_SOURCE_DIR}/tests/unit/${name}.c)
  target_link_libraries(${name} PRIVATE bus_rig)
  add_test(NAME unit.${name}
    COMMAND ${PROJECT_SOURCE_DIR}/tests/unit/with_rabbitmq $<TARGET_FILE:${name}>)
  set_tests_properties(unit.${name} PROPERTIES TIMEOUT 240 LABELS unit
    ENVIRONMENT "NAVETTE_SOURCE=${PROJECT_SOURCE_DIR}")
endforeach()
