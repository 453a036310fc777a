# Tests that are not programs of one folder: each header compiles alone, the launch scripts, the commands in the documents.

# hyperx_header_checks(NAME LIBRARY FOLDERS...): an object library with one source a header that includes nothing else. That it
# compiles is the test.
function(hyperx_header_checks name library)
  set(sources)
  foreach(folder ${ARGN})
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/src/${folder}/*.h)
    foreach(header ${headers})
      set(source ${CMAKE_CURRENT_BINARY_DIR}/headers/${header}.cpp)
      file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n#include \"${header}\"  // twice: its guard holds\n")
      list(APPEND sources ${source})
    endforeach()
  endforeach()
  if(sources)
    add_library(${name} OBJECT ${sources})
    target_link_libraries(${name} PRIVATE ${library} hyperx_warnings)
    target_include_directories(${name} SYSTEM PRIVATE ${HDF5_C_INCLUDE_DIRS})  # for the wrapper's own headers
  endif()
endfunction()

if(NOT HYPERX_SANITIZE)  # once is enough
  hyperx_header_checks(header_checks_data hyperx_data common data)
  hyperx_header_checks(header_checks_sweep hyperx_sweep sweep)
  hyperx_header_checks(header_checks_report hyperx_report report)
endif()
if(HYPERX_TENSOR AND NOT HYPERX_SANITIZE)
  hyperx_header_checks(header_checks_tensor hyperx_trainer model trainer)
  # LibTorch's headers make it a quarter of the whole build: by name only (ninja header_checks_tensor).
  set_target_properties(header_checks_tensor PROPERTIES EXCLUDE_FROM_ALL ON)
endif()

# hyperx_script_test(NAME LABEL COMMAND...): exit code 77 is a skip; the script's line `SKIPPED: reason` says why.
function(hyperx_script_test name label)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} COMMAND_EXPAND_LISTS)
  set_tests_properties(${name} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77 TIMEOUT 900 PROCESSORS 2
    ENVIRONMENT "HYPERX_BUILD=${CMAKE_BINARY_DIR}")
endfunction()

if(HYPERX_TENSOR)
  foreach(folder launch cluster)
    file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*_test.sh)
    foreach(script ${scripts})
      get_filename_component(name ${script} NAME_WE)
      hyperx_script_test(${folder}.${name} e2e ${script})
    endforeach()
  endforeach()
  hyperx_script_test(docs.user_guide e2e ${CMAKE_SOURCE_DIR}/tests/docs/run_documents.py docs/user_guide.md)
endif()

# What a build without CUDA is made of, in one that has it: the sources that mention CUDA are compiled as there, unoptimised so that
# nothing is left out, and must not need anything that is made of CUDA's.
if(HYPERX_WITH_CUDA)
  file(GLOB_RECURSE candidates CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/src/model/*.cpp ${CMAKE_SOURCE_DIR}/src/trainer/*.cpp ${CMAKE_SOURCE_DIR}/src/app/tensor/*.cpp)
  list(FILTER candidates EXCLUDE REGEX "/(cuda|nccl)_[a-z_]+\\.cpp$")
  set(sources)
  foreach(source ${candidates})
    file(STRINGS ${source} mentions REGEX "cuda_|kHasOwnKernels|HYPERX_WITH_CUDA" LIMIT_COUNT 1)
    if(mentions)
      list(APPEND sources ${source})
    endif()
  endforeach()
  add_library(without_cuda OBJECT ${sources})
  target_link_libraries(without_cuda PRIVATE hyperx_trainer hyperx_warnings)
  target_compile_options(without_cuda PRIVATE -UHYPERX_WITH_CUDA -O0 -fopenmp)
  hyperx_script_test(build.WithoutCuda unit ${CMAKE_CURRENT_LIST_DIR}/without_cuda.sh $<TARGET_OBJECTS:without_cuda>)
endif()
