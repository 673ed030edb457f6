/**
 * The number of insertions, deletions, replacements and exchanges of neighbours between two words
 * (Damerau and Levenshtein, optimal string alignment).
 */
function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const moved = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1] && i > 1 && j > 1;
      const exchanged = moved ? (before[j - 2] as number) + 1 : Infinity;
      const others = Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1);
      next.push(Math.min(replaced, exchanged, others));
    }
    before = row;
    row = next;
  }
  return row[to.length] as number;
}

/** The word most like `word`: one that it begins, or one at most a third of its letters away. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const begun = known.find((candidate) => word.length > 1 && candidate.startsWith(word));
  if (begun !== undefined) {
    return begun;
  }
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance * 3 <= word.length + 1 ? best.candidate : undefined;
}
