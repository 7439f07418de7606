#include "tests/fuzz/Replay.h"

TEST(SourcesFuzz, Corpus) { bigm::fuzz::replay(BIGM_CORPUS); }
