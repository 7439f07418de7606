#include "tests/fuzz/Replay.h"

TEST(SafetensorsFuzz, Corpus) { bigm::fuzz::replay(BIGM_CORPUS); }
