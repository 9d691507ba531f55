# SPDX-License-Identifier: GPL-3.0-or-later
# Debian packages, one a daemon, by CPack: cpack --config build/package/CPackConfig.cmake
#
# navette-common has what two of them need: the user, the target, the configuration's page and
# example, the plugin's zip.  No package owns /etc/navette/navette.yaml: what an administrator has
# written there no upgrade, and no removal, touches.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME navette)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each has its own, below
set(CPACK_PACKAGE_VENDOR Navette)
set(CPACK_PACKAGE_CONTACT "Navette <navette@localhost>")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL common producer archiver worker cli)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(about_common "Navette: user, configuration and what its daemons share
 Brings teachers' courses from a remote Moodle onto their own, through message
 queues.  This package has the system user, the systemd target, the example of
 the configuration and the plugin for both Moodles.")
set(about_producer "Navette: HTTP API and pages
 Takes requests for courses, sends them to the course servers, and shows teachers
 and administrators what becomes of them.")
set(about_archiver "Navette: takes courses from the course server
 Exports the courses that are asked for and sends what the staging store does not
 have yet.")
set(about_worker "Navette: restores courses
 Fetches archives from the staging store, verifies and restores them, enrols, and
 tells people.  To scale, start one more instance.")
set(about_cli "Navette: the operator's command
 Sets up broker and keys, checks an installation (navette doctor), and looks into
 requests, queues and dead letters.")

set(CPACK_DEBIAN_COMMON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_COMMON_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_COMMON_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers, tzdata, ca-certificates")
set(CPACK_DEBIAN_COMMON_PACKAGE_SUGGESTS "navette-cli")
set(CPACK_DEBIAN_PRODUCER_PACKAGE_SUGGESTS "rabbitmq-server, redis-server (>= 5:7.0)")
set(CPACK_DEBIAN_WORKER_PACKAGE_SUGGESTS "redis-server (>= 5:7.0), php-cli")
set(CPACK_DEBIAN_ARCHIVER_PACKAGE_SUGGESTS "php-cli")
set(CPACK_DEBIAN_CLI_PACKAGE_SUGGESTS "bash-completion")

# postinst, prerm, postrm of each, from one text each; units: what it starts and stops.
set(units_common navette.target)
set(units_producer "navette-producer.service")
set(units_archiver navette-archiver@*.service)
set(units_worker navette-worker@*.service)
set(units_cli "")
foreach(component ${CPACK_COMPONENTS_ALL})
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME navette-${component})
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${about_${component}}")
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${about_${component}}")
  if(NOT component STREQUAL common)
    set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "navette-common (= ${PROJECT_VERSION}-1)")
    if(NOT component STREQUAL cli)
      set(CPACK_DEBIAN_${upper}_PACKAGE_RECOMMENDS navette-cli)
    endif()
  endif()
  set(UNITS "${units_${component}}")
  set(STATE ${component})
  set(scripts)
  if(component STREQUAL common)
    set(names common.postinst units.prerm common.postrm)
  elseif(component STREQUAL cli)
    set(names)
  else()
    set(names daemon.postinst units.prerm daemon.postrm)
  endif()
  foreach(name ${names})
    string(REGEX REPLACE "^.*\\." "" script ${name})
    configure_file(${CMAKE_CURRENT_LIST_DIR}/${name}.in
                   ${CMAKE_BINARY_DIR}/debian/${component}/${script} @ONLY
                   FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
                                    WORLD_READ WORLD_EXECUTE)
    list(APPEND scripts ${CMAKE_BINARY_DIR}/debian/${component}/${script})
  endforeach()
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA "${scripts}")
  install(FILES ${CMAKE_CURRENT_LIST_DIR}/copyright
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/navette-${component} COMPONENT ${component})
endforeach()
include(CPack)
