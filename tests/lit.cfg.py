# The suite: lit files (`.mlir`, `.bigm`, `.test`) and, as one test each, the GoogleTest programs.
import os
import shutil
import lit.formats

config.name = "bigmc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".bigm", ".test"]
config.excludes = ["inputs", "Inputs", "fuzz"]
config.test_source_root = os.path.join(config.bigm_source, "tests")
config.test_exec_root = os.path.join(config.bigm_build, "tests")

path = [os.path.join(config.bigm_build, "bin"), os.path.join(config.bigm_build, "tests"), config.llvm_tools,
        os.environ["PATH"]]
config.environment["PATH"] = os.pathsep.join(path)
shared = os.environ.get("BIGM_SHARED", os.path.join(os.path.dirname(config.bigm_source), "shared"))
config.environment["BIGM_SHARED"] = shared
config.environment["BIGM_SOURCE"] = config.bigm_source
config.environment["BIGM_BUILD"] = config.bigm_build
config.environment["BIGM_CACHE_DIR"] = os.path.join(config.bigm_build, "tests", "cache")
if os.environ.get("BIGM_TARGET"):
    config.environment["BIGM_TARGET"] = os.environ["BIGM_TARGET"]
config.environment["TMPDIR"] = os.environ.get("TMPDIR", "/tmp")
if shutil.which("valgrind"):
    config.available_features.add("valgrind")
else:
    lit_config.note("valgrind is absent; the count of what a row executes is left out")
if config.sanitized:
    # libMLIR and libLLVM keep what they allocate until exit on purpose.
    config.environment["ASAN_OPTIONS"] = "detect_leaks=0"

config.substitutions += [
    ("%source", config.bigm_source),
    ("%build", config.bigm_build),
    ("%shared", shared),
    ("%inputs", os.path.join(config.bigm_source, "tests", "inputs")),
]
if os.path.isdir(os.path.join(shared, "data", "mnist")):
    config.available_features.add("shared")
else:
    lit_config.note("the shared data folder is absent; tests that need it are left out")
if os.path.isfile(os.path.join(config.bigm_source, "examples", "intent", "all-MiniLM-L6-v2", "model.safetensors")):
    config.available_features.add("minilm")
else:
    lit_config.note("all-MiniLM-L6-v2 is absent (./bootstrap weights); the trainings on it are left out")
peers = os.environ.get("BIGM_PEERS", os.path.join(config.bigm_build, "peers"))
config.environment["BIGM_PEERS"] = peers
if os.path.exists(os.path.join(peers, "bin", "python")) and os.path.isfile(os.path.join(shared, "peers", "models.py")):
    config.available_features.add("peers")
else:
    lit_config.note("the peers' environment is absent (bench/setup); the comparison with PyTorch is left out")
if config.sanitized:
    config.available_features.add("sanitized")
if os.environ.get("BIGM_TEST_ALL"):
    config.available_features.add("slow")
