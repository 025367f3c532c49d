// Copies the stores' SQL files beside the compiled code, which reads them when it starts.
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const sqlFiles = (folder) =>
  existsSync(at(folder))
    ? readdirSync(at(folder), { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.sql'))
    : [];

// A file that the sources no longer have would still be run.
for (const path of sqlFiles('dist/stores')) rmSync(at(`dist/stores/${path}`));
for (const path of sqlFiles('src/stores')) cpSync(at(`src/stores/${path}`), at(`dist/stores/${path}`));
