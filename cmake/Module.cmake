# stoker_add_module(NAME m SOURCES a.cc … [DEPENDS module …] [LINK target …])
#
# Declares the static library stoker_<m> (alias stoker::<m>) of folder src/<m>.
# DEPENDS are our modules, LINK the third-party targets (private: their headers
# are included in .cc files only).
function(stoker_add_module)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPENDS;LINK" ${ARGN})
  set(target stoker_${ARG_NAME})
  add_library(${target} STATIC ${ARG_SOURCES})
  add_library(stoker::${ARG_NAME} ALIAS ${target})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  list(TRANSFORM ARG_DEPENDS PREPEND stoker::)
  target_link_libraries(${target}
    PUBLIC ${ARG_DEPENDS} Threads::Threads
    PRIVATE stoker_flags fmt::fmt ${ARG_LINK})
endfunction()

# stoker_add_test(NAME n SOURCES a_test.cc … [DEPENDS module …] [LINK target …]
#                 [LABELS label …])
#
# One GoogleTest program stoker_<n>_test, registered with CTest as one test per
# program. Without LABELS it belongs to the fast set, which the sanitizer
# builds run.
function(stoker_add_test)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPENDS;LINK;LABELS" ${ARGN})
  set(target stoker_${ARG_NAME}_test)
  add_executable(${target} ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPENDS PREPEND stoker::)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${target} PRIVATE
    STOKER_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    STOKER_BINARY_DIR="${PROJECT_BINARY_DIR}")
  target_link_libraries(${target} PRIVATE
    stoker_flags ${ARG_DEPENDS} fmt::fmt GTest::gmock GTest::gtest_main
    ${ARG_LINK})
  add_test(NAME ${ARG_NAME} COMMAND ${target})
  set_tests_properties(${ARG_NAME} PROPERTIES TIMEOUT 300)
  if(ARG_LABELS)
    set_tests_properties(${ARG_NAME} PROPERTIES LABELS "${ARG_LABELS}")
  else()
    set_tests_properties(${ARG_NAME} PROPERTIES LABELS fast)
    set_property(GLOBAL APPEND PROPERTY STOKER_FAST_TESTS ${target})
  endif()
endfunction()
