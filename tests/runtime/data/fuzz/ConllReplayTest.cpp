#include "tests/fuzz/Replay.h"

TEST(ConllFuzz, Corpus) { bigm::fuzz::replay(BIGM_CORPUS); }
