/**
 * A text with control characters, line breaks and direction marks escaped. Agents write message fields, so an
 * unescaped field could send commands to the terminal or imitate a line of the output.
 */
export const printable = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

export const truncate = (text: string, maxLength: number): string =>
  text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`;

/** `3 s`, `4 min`, `2 h`, `5 d`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** The duration between two ISO times. */
export const durationBetween = (start: string, end: string): string => duration(Date.parse(end) - Date.parse(start));

/** Milliseconds below a second, otherwise as `duration`. */
export const elapsed = (ms: number): string => (ms < 1000 ? `${Math.max(0, Math.round(ms))} ms` : duration(ms));

export const ago = (time: string | null): string =>
  time === null ? '' : `${duration(Date.now() - Date.parse(time))} ago`;

export const counted = (amount: number, noun: string, plural = `${noun}s`): string =>
  `${amount} ${amount === 1 ? noun : plural}`;

/** `slots=4 memoryMiB=2048`. */
export const pairsText = (named: Readonly<Record<string, string | number>>): string =>
  Object.entries(named)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
