#include "histogram.h"

enum { PER_OCTAVE = 1 << BUCKET_BITS };

// Values below 128 have a bucket each. Of a larger one the highest bit names the octave, and the
// seven after it the bucket.
static int bucket_of(int64_t value) {
  if (value < PER_OCTAVE) return (int)value;
  const int shift = 63 - __builtin_clzll((unsigned long long)value) - BUCKET_BITS;
  const int bucket = (shift + 1) * PER_OCTAVE + (int)(value >> shift) - PER_OCTAVE;
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static int64_t middle_of(int bucket) {
  if (bucket < PER_OCTAVE) return bucket;
  const int shift = bucket / PER_OCTAVE - 1;
  const int64_t low = (int64_t)(bucket % PER_OCTAVE + PER_OCTAVE) << shift;
  return low + ((int64_t)1 << shift) / 2;
}

void record(struct histogram* histogram, int64_t value) {
  histogram->counts[bucket_of(value)]++;
  histogram->total++;
  if (value > histogram->max) histogram->max = value;
}

int64_t quantile(const struct histogram* histogram, double share) {
  const double exact = share * (double)histogram->total;
  const uint64_t whole = (uint64_t)exact;
  const uint64_t rank = (double)whole < exact ? whole + 1 : whole;
  uint64_t seen = 0;
  for (int bucket = 0; bucket < BUCKETS; bucket++) {
    seen += histogram->counts[bucket];
    if (seen > 0 && seen >= rank) {
      const int64_t middle = middle_of(bucket);
      return middle < histogram->max ? middle : histogram->max;
    }
  }
  return 0;
}
