import { readFileSync } from 'node:fs';
import { type Document, isCollection, isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import type { Problem } from '../contracts/errors.js';
import { nearestName } from './nearest-name.js';
import { shown, type Checked } from './problems.js';
import { knownPaths, type SettingsFile, settingsFile } from './schema.js';

type Settings = SettingsFile['cluster_manager'];

/** The settings of a valid file, or its problems, each with key and line. @param path of the YAML file, absolute or relative to the working directory. Never throws: a missing file is a problem. */
export function readSettings(path: string): Checked<Settings> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : String(error);
    const message = `cannot be read: ${reason}; set CLUSTER_MANAGER_CONFIG to the settings file`;
    return { problems: [{ path, message }] };
  }
  return parseSettings(text);
}

/** Like `readSettings`, for text that was already read. */
export function parseSettings(text: string): Checked<Settings> {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, uniqueKeys: true, prettyErrors: false });
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    return {
      problems: broken.map((error) => ({
        path: `line ${lineCounter.linePos(error.pos[0]).line}`,
        message: `is not valid YAML: ${error.message}`,
      })),
    };
  }
  const input: unknown = document.toJS();
  const parsed = settingsFile.safeParse(input);
  if (parsed.success) return { value: parsed.data.cluster_manager, problems: [] };
  const lineOf = (keys: readonly PropertyKey[]) => lineAt(document, lineCounter, keys);
  return { problems: parsed.error.issues.flatMap((issue) => problemsOfIssue(issue, input, lineOf)) };
}

function problemsOfIssue(
  issue: z.core.$ZodIssue,
  input: unknown,
  lineOf: (keys: readonly PropertyKey[]) => string,
): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: dotted([...issue.path, key]),
      message: unknownKey(dotted(issue.path), key) + lineOf([...issue.path, key]),
    }));
  }
  const value = issue.path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined),
    input,
  );
  return [
    {
      path: issue.path.length === 0 ? 'the file' : dotted(issue.path),
      message: `is ${shown(value)}; allowed: ${issue.message}${lineOf(issue.path)}`,
    },
  ];
}

/** The message for an unknown key: its likely spelling, the section it belongs to, or the known keys. */
function unknownKey(section: string, key: string): string {
  const paths = knownPaths(settingsFile);
  const prefix = section === '' ? '' : `${section}.`;
  const here = paths.filter((p) => p.startsWith(prefix) && !p.slice(prefix.length).includes('.'));
  const siblings = here.map((p) => p.slice(prefix.length));
  const elsewhere = paths.find((p) => p.split('.').at(-1) === key);
  const meant = nearestName(key, siblings);
  if (elsewhere) return `is not a known key here; did you mean ${elsewhere}?`;
  if (meant) return `is not a known key; did you mean ${meant}?`;
  return `is not a known key; allowed here: ${siblings.join(', ')}`;
}

const dotted = (keys: readonly PropertyKey[]): string => keys.map(String).join('.');

/** ` (line 7)` of the key, or of the nearest enclosing section when the key is missing. */
function lineAt(document: Document, lineCounter: LineCounter, keys: readonly PropertyKey[]): string {
  for (let depth = keys.length; depth > 0; depth -= 1) {
    const parent = depth === 1 ? document.contents : document.getIn(keys.slice(0, depth - 1), true);
    if (!isCollection(parent)) continue;
    const key = keys[depth - 1];
    const pair = isMap(parent) ? parent.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
    const node = pair ? pair.key : parent.get(key, true);
    const start = typeof node === 'object' && node !== null && 'range' in node ? (node.range as number[] | null) : null;
    if (start?.[0] !== undefined) return ` (line ${lineCounter.linePos(start[0]).line})`;
  }
  return '';
}
