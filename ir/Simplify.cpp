#include "ir/Bigm.h"
using namespace mlir;
using namespace mlir::bigm;
