import { ManagerError } from '../../contracts/errors.js';

/** The largest amount: in thousandths it is still an exact integer. */
const largest = 1e12;

/**
 * Amounts are stored in thousandths, so the least amount above 0 is 0.001.
 * @throws ManagerError `invalid_request` when the amount is not 0 to 1e12, or not above 0 where it must be.
 */
export function requireAmount(name: string, amount: number, { aboveZero = false } = {}): void {
  const least = aboveZero ? 0.001 : 0;
  if (amount >= least && amount <= largest) return;
  throw outOfRange(name, `${amount}; an amount is a number of ${least} to ${largest}`, `${least} to ${largest}`);
}

/** A lease or a deadline in seconds. @throws ManagerError `invalid_request` when it is not above 0, or above a year. */
export function requireSeconds(name: string, seconds: number): void {
  if (seconds > 0 && seconds <= 31_536_000) return;
  const problem = `${seconds}; it is a number of seconds, above 0 and at most a year`;
  throw outOfRange(name, problem, 'above 0 and at most 31536000');
}

const outOfRange = (path: string, problem: string, range: string): ManagerError =>
  new ManagerError('invalid_request', `${path} is ${problem}`, { problems: [{ path, message: `must be ${range}` }] });

/** To thousandths, as amounts are stored. */
export const roundAmount = (amount: number): number => Math.round(amount * 1000) / 1000;
