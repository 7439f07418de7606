#include "tests/fuzz/Replay.h"

TEST(TokenizerFuzz, Corpus) { bigm::fuzz::replay(BIGM_CORPUS); }
