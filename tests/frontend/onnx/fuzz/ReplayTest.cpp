#include "tests/fuzz/Replay.h"

TEST(OnnxFuzz, Corpus) { bigm::fuzz::replay(BIGM_CORPUS); }
