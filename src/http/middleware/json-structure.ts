import { ManagerError } from '../../contracts/errors.js';

/** Our own schemas need 6 levels and a message's data may have more. */
const maxDepth = 32;
/** Arrays and objects of a body, messages' data included. */
const maxContainers = 100_000;
/** Array elements and object fields of a body, messages' data included. */
const maxValues = 500_000;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Bounds what parsing a JSON text costs, before it is parsed: a body of 8 MiB could otherwise become three million
 * objects. Reads each character outside of strings once and checks no syntax.
 * @throws ManagerError `invalid_request` when the text is nested too deeply or holds too many values.
 */
export function requireParsable(text: string): void {
  let depth = 0;
  let containers = 0;
  let values = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === quote) {
      at = endOfString(text, at);
    } else if (character === comma) {
      values += 1;
      if (values > maxValues) throw tooMany(`holds more than ${maxValues} values`);
    } else if (character === openBrace || character === openBracket) {
      depth += 1;
      containers += 1;
      if (depth > maxDepth) throw tooMany(`is nested deeper than ${maxDepth} levels`);
      if (containers > maxContainers) throw tooMany(`holds more than ${maxContainers} arrays and objects`);
    } else if (character === closeBrace || character === closeBracket) {
      depth -= 1;
    }
  }
}

/** @returns the index of the quote that ends the string which begins at `start`; the text's length without one. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === backslash) backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

const tooMany = (what: string): ManagerError =>
  new ManagerError('invalid_request', `The body ${what}; send it in smaller parts`);
