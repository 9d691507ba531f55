# SPDX-License-Identifier: GPL-3.0-or-later
# Libraries, found by pkg-config; a missing one is named with the Debian package that brings it.
find_package(PkgConfig QUIET)
if(NOT PkgConfig_FOUND)
  message(FATAL_ERROR "pkg-config is missing: apt-get install pkg-config")
endif()
find_package(Threads REQUIRED)

# navette_need(TARGET MODULE MINIMUM DEBIAN-PACKAGE) makes the imported target PkgConfig::TARGET.
function(navette_need target module minimum package)
  pkg_check_modules(${target} QUIET IMPORTED_TARGET GLOBAL "${module}>=${minimum}")
  if(NOT ${target}_FOUND)
    set_property(GLOBAL APPEND PROPERTY navette_missing
                 "  ${module} >= ${minimum}: apt-get install ${package}")
  endif()
endfunction()

navette_need(RABBITMQ librabbitmq 0.11.0 librabbitmq-dev)
navette_need(CURL libcurl 7.88 libcurl4-openssl-dev)
navette_need(ARCHIVE libarchive 3.6 libarchive-dev)
navette_need(MSGPACK msgpack 4.0 libmsgpack-dev)
navette_need(HIREDIS hiredis 0.14 libhiredis-dev)
navette_need(UV libuv 1.44 libuv1-dev)
navette_need(MICROHTTPD libmicrohttpd 0.9.75 libmicrohttpd-dev)
navette_need(JANSSON jansson 2.14 libjansson-dev)
navette_need(YAML yaml-0.1 0.2.5 libyaml-dev)
navette_need(SODIUM libsodium 1.0.18 libsodium-dev)
navette_need(CRYPTO libcrypto 3.0 libssl-dev)
navette_need(SYSTEMD libsystemd 252 libsystemd-dev)
if(NAVETTE_TESTS)
  navette_need(CMOCKA cmocka 1.1.5 libcmocka-dev)
endif()

get_property(missing GLOBAL PROPERTY navette_missing)
if(missing)
  list(JOIN missing "\n" missing)
  message(FATAL_ERROR "Libraries are missing:\n${missing}")
endif()
