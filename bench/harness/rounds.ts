/**
 * Samples of each of `subjects`, `rounds` times, each round all of them: what changes slowly on the
 * machine touches all alike. Each round begins with another one, so that nobody always follows the
 * same neighbour.
 */
export async function interleave<Subject, Sample>(
  subjects: readonly Subject[],
  rounds: number,
  sample: (subject: Subject, round: number) => Promise<Sample>,
): Promise<Map<Subject, Sample[]>> {
  const samples = new Map<Subject, Sample[]>(subjects.map((subject) => [subject, []]));
  for (let round = 0; round < rounds; round++) {
    const first = round % subjects.length;
    for (const subject of [...subjects.slice(first), ...subjects.slice(0, first)]) {
      samples.get(subject)?.push(await sample(subject, round));
    }
  }
  return samples;
}
