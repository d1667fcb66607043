# Target check_headers: compiles every header alone, with the warnings of the
# modules. Not part of `all`.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
  ${PROJECT_SOURCE_DIR}/src/*.h ${PROJECT_SOURCE_DIR}/tests/*.h)
set(header_sources)
foreach(header IN LISTS headers)
  set(source ${PROJECT_BINARY_DIR}/check_headers/${header}.cc)
  string(REGEX REPLACE "^src/" "" included ${header})
  file(CONFIGURE OUTPUT ${source}
    CONTENT "#include \"${included}\"\n#include \"${included}\"\n")
  list(APPEND header_sources ${source})
endforeach()
add_library(check_headers OBJECT EXCLUDE_FROM_ALL ${header_sources})
target_include_directories(check_headers PRIVATE
  ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
target_compile_definitions(check_headers PRIVATE
  STOKER_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
  STOKER_BINARY_DIR="${PROJECT_BINARY_DIR}")
target_link_libraries(check_headers PRIVATE stoker_flags GTest::gmock)
target_compile_options(check_headers PRIVATE -O0 -g0)
