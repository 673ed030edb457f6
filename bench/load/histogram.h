// How often each duration occurred, to within half a per cent: each power of two has 128 buckets of
// equal width.
#ifndef RYEGATE_BENCH_HISTOGRAM_H
#define RYEGATE_BENCH_HISTOGRAM_H

#include <stdint.h>

enum { BUCKET_BITS = 7, OCTAVES = 40, BUCKETS = OCTAVES << BUCKET_BITS };

struct histogram {
  uint64_t counts[BUCKETS];
  uint64_t total;
  int64_t max;  // exact
};

// `value` is not negative. Those that are too large for the last bucket are counted there.
void record(struct histogram* histogram, int64_t value);

// The least value that at least this share of all do not exceed. 0 when there are none.
int64_t quantile(const struct histogram* histogram, double share);

#endif
