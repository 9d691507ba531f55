# SPDX-License-Identifier: GPL-3.0-or-later
# cmake -DTABLE=reasons.json -DOUT=nv_reasons.h -P reasons.cmake: the table of reasons as two macros of C.
#
#   NV_REASONS(X)         X(word, text, passes) for each reason, in the order of the table
#   NV_REASON_STRINGS(X)  X(lang, word, why, to_do, other) for each reason and language
#
# A reason whose sentences are not complete in both languages stops the build.
file(READ "${TABLE}" table)

# quoted(OUT KEY…): the string there as a C literal, NULL where there is none.
function(quoted out)
  string(JSON text ERROR_VARIABLE missing GET "${table}" ${ARGN})
  if(missing)
    set(${out} NULL PARENT_SCOPE)
    return()
  endif()
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  set(${out} "\"${text}\"" PARENT_SCOPE)
endfunction()

# needed(OUT KEY…): the same, but it has to be there.
function(needed out)
  quoted(text ${ARGN})
  if(text MATCHES "^(NULL|\"\")$")
    list(JOIN ARGN "." name)
    message(FATAL_ERROR "${TABLE}: ${name} is missing")
  endif()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

set(reasons "#define NV_REASONS(X)")
set(strings "#define NV_REASON_STRINGS(X)")
string(JSON count LENGTH "${table}" reasons)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON word GET "${table}" reasons ${i} word)
  needed(text reasons ${i} text)
  string(JSON passes ERROR_VARIABLE missing GET "${table}" reasons ${i} passes)
  if(missing)
    set(passes no)
  endif()
  string(APPEND reasons " \\\n\tX(${word}, ${text}, NV_PASSES_${passes})")
  foreach(lang en fr)
    needed(why reasons ${i} ${lang} why)
    needed(to_do reasons ${i} ${lang} do)
    # "admin" and the like name a piece of advice that several reasons give.
    if(to_do MATCHES "^\"[a-z]+\"$")
      string(REPLACE "\"" "" advice "${to_do}")
      needed(to_do advice ${advice} ${lang})
    endif()
    quoted(other reasons ${i} ${lang} other)
    if(NOT passes STREQUAL "no")
      needed(held reasons ${i} ${lang} held)
    endif()
    string(APPEND strings " \\\n\tX(${lang}, ${word}, ${why}, ${to_do}, ${other})")
  endforeach()
endforeach()
file(WRITE "${OUT}" "/* Made from base/reasons.json by reasons.cmake. */\n${reasons}\n\n${strings}\n")
