#include "tests/fuzz/Replay.h"

TEST(PictureFuzz, Corpus) { bigm::fuzz::replay(BIGM_CORPUS); }
