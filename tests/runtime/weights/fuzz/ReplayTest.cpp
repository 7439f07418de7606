#include "tests/fuzz/Replay.h"

TEST(GgufFuzz, Corpus) { bigm::fuzz::replay(BIGM_CORPUS); }
