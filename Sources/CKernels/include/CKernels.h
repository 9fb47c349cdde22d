#ifndef CKERNELS_H
#define CKERNELS_H

#include "krylov.h"

#endif
