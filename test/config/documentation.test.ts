import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { knownPaths, settingsFile } from '../../src/config/schema.js';
import { parseSettings } from '../../src/config/settings.js';
import { environmentVariables } from '../../src/config/variables.js';

/** The cells of every table row of docs/configuration.md that begins with a code word, by that word. */
const rows = new Map(
  readFileSync('docs/configuration.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([, name = '', ...cells]) => [name.replaceAll('`', ''), cells] as const),
);

const minimal = `cluster_manager: {id: m, name: M, capabilities: [scaling], relationships: [orchestrator],
  databases: {clusters: a, communication: b, resources: c}}`;

describe('docs/configuration.md', () => {
  const paths = knownPaths(settingsFile);
  const keys = paths
    .filter((path) => !paths.some((other) => other.startsWith(`${path}.`)))
    .map((path) => path.replace('cluster_manager.', ''));

  it('docs/configuration.md has exactly one row for each settings key and environment variable', () => {
    expect([...rows.keys()]).toEqual([...keys, ...environmentVariables.map((variable) => variable.name)]);
  });

  it.each(keys)('docs/configuration.md gives the actual default of the settings key %s', (key) => {
    const required = ['id', 'name', 'capabilities', 'relationships'].includes(key) || key.startsWith('databases.');
    const actual = key
      .split('.')
      .reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], parseSettings(minimal).value);
    const documented = rows.get(key)?.[0]?.replaceAll('`', '');
    expect(documented).toBe(required ? '' : JSON.stringify(actual).replaceAll(',', ', '));
  });

  it.each(environmentVariables)('docs/configuration.md gives the default, meaning and secrecy of $name', (variable) => {
    expect(rows.get(variable.name)?.slice(0, 2)).toEqual([
      variable.default === undefined ? '' : `\`${variable.default}\``,
      variable.meaning + (variable.secret ? ' _secret_' : ''),
    ]);
  });
});
