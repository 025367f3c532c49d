import { InvalidArgumentError, type Command, type OptionValues } from '@commander-js/extra-typings';
import { ManagerError } from '../contracts/errors.js';

/* Parsers of option values. Those that throw InvalidArgumentError are for commander, which adds the option's name. */

/** For options that may be repeated. */
export const collect = (value: string, previous: readonly string[] = []): string[] => [...previous, value];

export const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Allowed: a whole number from ${min} to ${max}.`);
  };

/** @param maxText the maximum as the error shows it. */
export const decimalNumber =
  (min: number, max: number, maxText = String(max)) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() !== '' && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Allowed: a number from ${min} to ${maxText}.`);
  };

/** `4`, `3..5` (min..max) or `3..4..5` (min..desired..max). The manager chooses the desired size of `3..5`. */
export function sizeRange(text: string): { readonly min?: number; readonly desired?: number; readonly max?: number } {
  const numbers = text.split('..').map((part) => (/^\d{1,4}$/.test(part) ? Number(part) : Number.NaN));
  const [first, second, third] = numbers;
  if (numbers.length <= 3 && first !== undefined && !numbers.some(Number.isNaN)) {
    if (second === undefined) return { min: first, desired: first, max: first };
    if (third === undefined) return { min: first, max: second };
    return { min: first, desired: second, max: third };
  }
  throw new InvalidArgumentError('Allowed: a number (4), a range (3..5) or a range with the desired size (3..4..5).');
}

/** `host`, `host:hard`, `zone:soft`. */
export function spreadRule(text: string): { readonly by: 'host' | 'zone'; readonly mode: 'soft' | 'hard' } {
  const [by, mode = 'soft', more] = text.split(':');
  if ((by === 'host' || by === 'zone') && (mode === 'soft' || mode === 'hard') && more === undefined) {
    return { by, mode };
  }
  throw new InvalidArgumentError('Allowed: host or zone, optionally with ":hard" or ":soft".');
}

/** `name=capability`, `name=capability:2`, `name=capability:1..3`. @throws ManagerError `invalid_request`. */
export function parseRole(text: string): { name: string; capability: string; min?: number; max?: number } {
  const match = /^([^=]+)=(.+?)(?::(\d{1,4})(?:\.\.(\d{1,4}))?)?$/.exec(text);
  const [, name, capability, min, max] = match ?? [];
  if (name === undefined || capability === undefined) {
    throw new ManagerError(
      'invalid_request',
      `--role "${text}" cannot be read; allowed: name=capability, name=capability:2 or name=capability:1..3`,
    );
  }
  if (min === undefined) return { name, capability };
  return { name, capability, min: Number(min), max: Number(max ?? min) };
}

/** `team=blue` pairs as an object. @throws ManagerError `invalid_request` that names the option. */
export function parsePairs(option: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const separator = text.indexOf('=');
      if (separator > 0) return [text.slice(0, separator), text.slice(separator + 1)];
      throw new ManagerError('invalid_request', `${option} "${text}" cannot be read; allowed: name=value`);
    }),
  );
}

/** `slots=2` pairs as an object. @throws ManagerError `invalid_request` that names the option. */
export function parseAmounts(option: string, texts: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    Object.entries(parsePairs(option, texts)).map(([name, text]) => {
      const value = Number(text);
      if (text.trim() !== '' && Number.isFinite(value)) return [name, value];
      throw new ManagerError('invalid_request', `${option} "${name}=${text}" cannot be read; allowed: name=number`);
    }),
  );
}

/** @throws ManagerError `invalid_request` unless the text is one of the allowed words. */
export function oneOf<Word extends string>(option: string, text: string, allowed: readonly Word[]): Word {
  const word = allowed.find((one) => one === text);
  if (word !== undefined) return word;
  throw new ManagerError('invalid_request', `${option} "${text}" is not known; allowed: ${allowed.join(', ')}`);
}

/** A command with the options of another one added, which several commands share. */
export function withOptions<Args extends unknown[], Own extends OptionValues, Shared extends OptionValues>(
  command: Command<Args, Own>,
  shared: Command<[], Shared>,
): Command<Args, Own & Shared> {
  for (const option of shared.options) command.addOption(option);
  return command as unknown as Command<Args, Own & Shared>;
}
