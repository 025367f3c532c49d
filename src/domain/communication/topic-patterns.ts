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
