/** Levenshtein distance: single-character insertions, deletions and substitutions. Source: Wagner & Fischer, 1974. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const substituted = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(substituted, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/**
 * The known word closest to a misspelled one, or undefined when none is close: a distant suggestion is misleading.
 * @example nearestName('formation_intervall', ['formation_interval', 'id']) === 'formation_interval'
 */
export function nearestName(word: string, known: readonly string[]): string | undefined {
  const simple = (text: string) => text.toLowerCase().replaceAll(/[-_\s]/g, '');
  const ranked = known
    .map((candidate) => ({ candidate, edits: distance(simple(word), simple(candidate)) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  return best && best.edits <= Math.max(2, Math.floor(word.length / 3)) ? best.candidate : undefined;
}
