#include "tests/fuzz/Replay.h"

TEST(FoldersFuzz, Corpus) { bigm::fuzz::replay(BIGM_CORPUS); }
