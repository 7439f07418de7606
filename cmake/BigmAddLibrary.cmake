# bigm_add_library(NAME FILE.bigm [RUN DIR] [TARGET cpu:x86-64-v2,cpu:x86-64-v3])
#
# Compiles a bigm program while the CMake project builds and makes the target NAME::NAME (shared) and NAME::static.
# RUN is the folder of a finished training; without it the library starts from initial weights and is there to be trained.
# Needs `bigmc`: on the path, or in BIGMC.
function(bigm_add_library name file)
  cmake_parse_arguments(ARG "" "RUN;TARGET" "" ${ARGN})
  if(NOT BIGMC)
    find_program(BIGMC bigmc REQUIRED DOC "The bigm compiler")
  endif()
  get_filename_component(file ${file} ABSOLUTE)
  get_filename_component(stem ${file} NAME_WE)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${name}.bigm-library)
  set(options "")
  if(ARG_RUN)
    get_filename_component(run ${ARG_RUN} ABSOLUTE)
    list(APPEND options --run ${run})
    list(APPEND dependencies ${run}/weights.safetensors)
  endif()
  if(ARG_TARGET)
    list(APPEND options --target ${ARG_TARGET})
  endif()
  # Names of libraries follow the program; the CMake target follows the user.
  set(shared ${out}/lib/lib${stem}.so)
  set(static ${out}/lib/lib${stem}.a)
  add_custom_command(
    OUTPUT ${shared} ${static} ${out}/include/${stem}.h ${out}/include/${stem}.hpp
    COMMAND ${BIGMC} build ${file} ${options} -o ${out}
    DEPENDS ${file} ${BIGMC} ${dependencies}
    COMMENT "bigmc build ${file}"
    VERBATIM)
  add_custom_target(${name}-bigm DEPENDS ${shared} ${static})
  file(MAKE_DIRECTORY ${out}/include)
  find_package(TBB REQUIRED)
  foreach(kind shared static)
    set(target ${name}-${kind})
    string(TOUPPER ${kind} upper)
    add_library(${target} ${upper} IMPORTED GLOBAL)
    set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${${kind}} INTERFACE_INCLUDE_DIRECTORIES ${out}/include
      INTERFACE_LINK_LIBRARIES "TBB::tbb;${CMAKE_DL_LIBS}")
    add_dependencies(${target} ${name}-bigm)
  endforeach()
  add_library(${name}::${name} ALIAS ${name}-shared)
  add_library(${name}::static ALIAS ${name}-static)
endfunction()
