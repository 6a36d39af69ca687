#include "util/poison.h"
#include <stdio.h>
