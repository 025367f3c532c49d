import { describe, expect, it } from 'vitest';
import { cronProblem } from '../../src/config/cron.js';

describe('cronProblem', () => {
  it.each([
    '* * * * *',
    '*/5 * * * *',
    '0,15,30,45 0-6 * * *',
    '5/20 * * * *',
    '10-50/20 8-18 1-15 1-6/2 1-5',
    '0 3 * * mon-fri',
    '0 0 1 JAN,jul *',
    '0 0 * * 7',
    '0 0 29 2 *',
    ' 0  0 * * * ',
  ])('cronProblem accepts %s', (expression) => {
    expect(cronProblem(expression)).toBeNull();
  });

  it.each([
    ['* * * *', 'it has 4 fields'],
    ['@hourly', 'it has 1 fields'],
    ['60 * * * *', 'its minute "60" is outside 0 to 59'],
    ['* 24 * * *', 'its hour "24" is outside 0 to 23'],
    ['* * 0 * *', 'its day of month "0" is outside 1 to 31'],
    ['* * * 13 *', 'its month "13" is outside 1 to 12'],
    ['* * * * 8', 'its day of week "8" is outside 0 to 7'],
    ['* * * * monday', 'its day of week "monday" is not a number, sun to sat, or "*"'],
    ['*/0 * * * *', 'the step "0"'],
    ['*/x * * * *', 'the step "x"'],
    ['*/5/5 * * * *', 'more than one "/"'],
    ['30-10 * * * *', 'ends before it begins'],
    ['1-2-3 * * * *', 'not a range'],
    ['1,,2 * * * *', 'its minute "" is not a number'],
    ['-5 * * * *', 'its minute "" is not a number'],
    ['0 0 31 2,4 *', 'no chosen month has a day 31, so it never fires'],
  ])('cronProblem rejects %s: %s', (expression, problem) => {
    expect(cronProblem(expression)).toContain(problem);
  });
});
