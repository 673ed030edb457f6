// Prints the quantiles, 0.5 0.99 0.999 1, of the numbers on standard input by histogram.c.
#include <inttypes.h>
#include <stdio.h>

#include "../../bench/load/histogram.h"

int main(void) {
  static struct histogram histogram;
  const double shares[] = {0.5, 0.99, 0.999, 1};
  for (int64_t value; scanf("%" SCNd64, &value) == 1;) record(&histogram, value);
  for (int i = 0; i < 4; i++) printf("%" PRId64 "\n", quantile(&histogram, shares[i]));
  return 0;
}
