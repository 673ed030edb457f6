const IDENTITY = 'identity';

/** One member: a coding and its weight, if any (RFC 9110 sections 12.4.2 and 12.5.3). */
const MEMBER =
  /^[ \t]*([\w!#$%&'*+.^`|~-]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?[ \t]*$/;

/**
 * Which of the `available` content codings (lower case, the server's favourite first) to send to
 * a client with this Accept-Encoding field, or `'identity'` (RFC 9110 section 12.5.3). Of equal
 * weights the first available wins, identity after all of them. No field, an empty one, and one
 * that accepts nothing that there is get identity. Malformed members are ignored; of several
 * weights for one coding the least counts.
 */
export function selectEncoding(field: string | undefined, available: readonly string[]): string {
  if (field === undefined || available.length === 0) return IDENTITY;
  const weights = parseWeights(field);
  const others = weights.get('*');
  let best = IDENTITY;
  let most = 0;
  for (const coding of available) {
    const weight = weights.get(coding) ?? others ?? 0;
    if (weight <= most) continue;
    best = coding;
    most = weight;
  }
  return (weights.get(IDENTITY) ?? others ?? 0) > most ? IDENTITY : best;
}

function parseWeights(field: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const member of field.split(',')) {
    const parts = MEMBER.exec(member);
    if (parts === null) continue;
    const name = (parts[1] as string).toLowerCase();
    // An old name that means the same (section 8.4.1.3).
    const coding = name === 'x-gzip' ? 'gzip' : name;
    const weight = Number(parts[2] ?? 1);
    weights.set(coding, Math.min(weight, weights.get(coding) ?? 1));
  }
  return weights;
}
