/**
 * Whether a subscription's pattern matches a topic: `*` matches one token, a trailing `>` matches one or more.
 * Source: NATS subject-based messaging.
 */
export function matchesTopic(pattern: string, topic: string): boolean {
  const wanted = pattern.split('.');
  const tokens = topic.split('.');
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return tokens.length > index;
    if (index >= tokens.length || (token !== '*' && token !== tokens[index])) return false;
  }
  return tokens.length === wanted.length;
}

/**
 * Lists every pattern that matches a topic, so that the store finds subscriptions by equality through an index, however
 * many other patterns exist.
 * @param topic of n tokens.
 * @returns 2^n patterns without `>` and 2^n - 1 with it; 2,047 for the ten tokens a topic may have.
 */
export function patternsTaking(topic: string): string[] {
  const patterns: string[] = [];
  let beginnings = [''];
  for (const token of topic.split('.')) {
    patterns.push(...beginnings.map((beginning) => `${beginning}>`));
    beginnings = beginnings.flatMap((beginning) => [`${beginning}${token}.`, `${beginning}*.`]);
  }
  return [...patterns, ...beginnings.map((beginning) => beginning.slice(0, -1))];
}
