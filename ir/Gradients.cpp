#include "ir/Bigm.h"
#include "ir/Formula.h"
using namespace mlir;
using namespace mlir::bigm;
