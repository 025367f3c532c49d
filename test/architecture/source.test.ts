import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { functions } from '../../src/contracts/steps.js';

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path))
  .map((path) => ({ path: join('src', path), text: readFileSync(join('src', path), 'utf8') }));

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Where a file escapes the type checker: the type `any`, and comments that silence the compiler. */
function looseTypes(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const at = (position: number) => `${path}:${file.getLineAndCharacterOfPosition(position).line + 1}`;
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) found.push(at(node.getStart()));
    ts.forEachChild(node, visit);
  };
  visit(file);
  for (const match of text.matchAll(/@ts-(?:ignore|nocheck|expect-error)/g)) found.push(at(match.index));
  return found;
}

describe('the source', () => {
  it('has more than 50 files that this test reads', () => {
    expect(sources.length).toBeGreaterThan(50);
  });

  it('contains no any and no @ts-ignore, @ts-nocheck or @ts-expect-error', () => {
    expect(looseTypes('x.ts', 'const a: any = 1;\n// @ts-ignore\n"any"; // any')).toEqual(['x.ts:1', 'x.ts:2']);
    expect(sources.flatMap(({ path, text }) => looseTypes(path, text))).toEqual([]);
  });

  it('names its files in kebab-case', () => {
    const odd = sources.map(({ path }) => path).filter((path) => !/^src\/([a-z0-9-]+\/)*[a-z0-9-]+\.tsx?$/.test(path));
    expect(odd).toEqual([]);
  });

  const folders = [
    [functions[0], 'formation'],
    [functions[1], 'communication'],
    [functions[2], 'scaling'],
  ] as const;
  it.each(folders.flatMap(([{ steps }, folder]) => steps.map((step) => [step, folder] as const)))(
    'has the step %s in a file of its own in activities/%s, which exports it',
    (step, folder) => {
      const path = `src/activities/${folder}/${kebab(step)}.ts`;
      expect(existsSync(path), path).toBe(true);
      expect(readFileSync(path, 'utf8')).toMatch(new RegExp(`export (?:const|(?:async )?function) ${step}\\b`));
    },
  );
});
