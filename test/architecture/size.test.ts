import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const longestFile = 250;
const longestFunction = 60;

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path))
  .map((path) => ({ path: join('src', path), text: readFileSync(join('src', path), 'utf8') }));

const linesOf = (text: string): number => text.trimEnd().split('\n').length;

/** Functions, methods and closures above a number of lines, from their first to their last; an inner one counts in the outer. */
function longFunctions(path: string, text: string, most = longestFunction): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const lineOf = (position: number): number => file.getLineAndCharacterOfPosition(position).line + 1;
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body) {
      const first = lineOf(node.getStart());
      const lines = lineOf(node.end) - first + 1;
      if (lines > most) found.push(`${path}:${first} has ${lines} lines`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

describe('a file of src/', () => {
  it(`has at most ${longestFile} lines`, () => {
    expect(sources.length).toBeGreaterThan(50);
    const long = sources.filter(({ text }) => linesOf(text) > longestFile);
    expect(long.map(({ path, text }) => `${path} has ${linesOf(text)} lines`)).toEqual([]);
  });
});

describe('a function of src/', () => {
  it('is measured from its first to its last line, whether it is a declaration, a method or a closure', () => {
    const text = 'function a() {\n  return 1;\n}\nconst b = () => {\n  c.d(() => 1);\n};\nclass E {\n  f() {\n  }\n}\n';
    expect(longFunctions('x.ts', text, 2)).toEqual(['x.ts:1 has 3 lines', 'x.ts:4 has 3 lines']);
    expect(longFunctions('x.ts', text, 1)).toContain('x.ts:8 has 2 lines');
  });

  it(`has at most ${longestFunction} lines`, () => {
    expect(sources.flatMap(({ path, text }) => longFunctions(path, text))).toEqual([]);
  });
});
