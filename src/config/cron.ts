const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const longestMonths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly words: readonly string[];
}

const fields: readonly Field[] = [
  { name: 'minute', min: 0, max: 59, words: [] },
  { name: 'hour', min: 0, max: 23, words: [] },
  { name: 'day of month', min: 1, max: 31, words: [] },
  { name: 'month', min: 1, max: 12, words: months },
  { name: 'day of week', min: 0, max: 7, words: weekdays },
];

/**
 * Validates a cron expression of five fields. Returns the problem, or null when Temporal accepts it and it ever fires.
 * Numbers, `*`, lists, ranges, steps and three-letter month and weekday names are allowed; Sunday is 0 or 7.
 * @example cronProblem('0 25 * * *') === 'its hour "25" is outside 0 to 23'
 */
export function cronProblem(expression: string): string | null {
  const texts = expression.trim().split(/\s+/);
  if (texts.length !== fields.length) {
    return `it has ${texts.length} fields, not the five of minute, hour, day of month, month, day of week`;
  }
  const values: number[][] = [];
  for (const [index, field] of fields.entries()) {
    const parsed = parseField(texts[index] ?? '', field);
    if (typeof parsed === 'string') return parsed;
    values.push(parsed);
  }
  const [, , daysOfMonth = [], monthNumbers = []] = values;
  const earliestDay = Math.min(...daysOfMonth);
  const everFires = monthNumbers.some((month) => earliestDay <= (longestMonths[month - 1] ?? 0));
  return everFires ? null : `no chosen month has a day ${earliestDay}, so it never fires`;
}

function parseField(text: string, field: Field): number[] | string {
  const values: number[] = [];
  for (const part of text.split(',')) {
    const [range = '', step, ...more] = part.split('/');
    if (more.length > 0) return `its ${field.name} "${text}" holds more than one "/"`;
    const every = step === undefined ? 1 : Number(step);
    if (step !== undefined && !(/^\d+$/.test(step) && every >= 1)) {
      return `its ${field.name} "${text}" has the step "${step}", which is not a whole number from 1`;
    }
    const [first = '', last, ...rest] = range === '*' ? [String(field.min), String(field.max)] : range.split('-');
    if (rest.length > 0) return `its ${field.name} "${text}" is not a range such as 1-5`;
    const start = parseValue(first, field);
    // As in Temporal, `5/10` runs from 5 to the field's end.
    const end = last === undefined ? (step === undefined ? start : field.max) : parseValue(last, field);
    if (typeof start === 'string') return start;
    if (typeof end === 'string') return end;
    if (start > end) return `its ${field.name} "${text}" ends before it begins`;
    for (let value = start; value <= end; value += every) values.push(value);
  }
  return values;
}

function parseValue(text: string, field: Field): number | string {
  const word = field.words.indexOf(text.toLowerCase());
  if (word >= 0) return word + field.min;
  if (!/^\d{1,2}$/.test(text)) {
    const words = field.words.length > 0 ? `, ${field.words[0]} to ${field.words.at(-1)},` : '';
    return `its ${field.name} "${text}" is not a number${words} or "*"`;
  }
  const value = Number(text);
  if (value < field.min || value > field.max) {
    return `its ${field.name} "${text}" is outside ${field.min} to ${field.max}`;
  }
  return value;
}
