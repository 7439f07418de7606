#include "tests/fuzz/Replay.h"

TEST(StepsFuzz, Corpus) { bigm::fuzz::replay(BIGM_CORPUS); }
