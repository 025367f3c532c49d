import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { endpoints } from '../../src/contracts/endpoints.js';

const page = readFileSync('docs/api.md', 'utf8');
const rows = [...page.matchAll(/^\| `(\w+)` +\| `([A-Z]+) ([^`]+)` +\| ([^|]+?) +\|$/gm)].map(
  ([, operation, method, path, who]) => ({ operation, call: `${method} ${path}`, who: who ?? '' }),
);

/** How the page names each party. */
const words: Readonly<Record<string, RegExp>> = {
  admin: /\badmin\b/,
  orchestrator: /\borchestrator\b/,
  viewer: /\bviewer\b/,
  enrolment: /\benrolment\b/,
  agent: /the agent|any agent|members|recipient/,
};

describe('docs/api.md', () => {
  it('lists every operation of the API with its method and path', () => {
    const described = Object.entries(endpoints).map(([operation, { method, path }]) => ({
      operation,
      call: `${method.toUpperCase()} ${path}`,
    }));
    const byName = (a: { operation?: string | undefined }, b: { operation?: string | undefined }) =>
      (a.operation ?? '').localeCompare(b.operation ?? '');
    expect(rows.map(({ operation, call }) => ({ operation, call })).sort(byName)).toEqual(described.sort(byName));
  });

  it.each(Object.entries(endpoints))('names the parties that may call %s', (operation, { roles }) => {
    const who = rows.find((row) => row.operation === operation)?.who ?? '';
    const said = Object.keys(words).filter((party) => words[party]?.test(who));
    if (roles === 'public') expect(who).toBe('public');
    else expect(said.sort()).toEqual([...roles].sort());
  });
});
