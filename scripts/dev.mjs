// The development loop: starts everything as `npm start` does, and after each change under src/ compiles and restarts
// the server and the workers. PostgreSQL and Temporal keep running. Build errors are printed and the processes that run
// stay as they are.
import { spawn } from 'node:child_process';
import { rmSync, watch as watchFolder } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const usage = `npm run dev -- [options]

  --port <port>      the API's port, default 8420
  --workers <count>  worker processes, default 1
  --inspect <name>   open Node's inspector on 127.0.0.1:9229 in that process after each start: server, worker-1, ...
`;

const { values: options } = parseArgs({
  options: {
    port: { type: 'string' },
    workers: { type: 'string', default: '1' },
    inspect: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (options.help) {
  console.log(usage);
  process.exit(0);
}

const say = (message, part = 'dev') => console.log(`${part.padEnd(10)} ${message}`);

// dist/ now follows src/ by this script: the stamp of the last `npm run setup` no longer describes it.
rmSync('dist/.stamp', { force: true });

const stopping = new AbortController();
const { startStack } = await import('../dist/dev-stack/stack.js');
const { stateFolder } = await import('../dist/dev-stack/paths.js');

const names = ['server', ...Array.from({ length: Number(options.workers) }, (_, index) => `worker-${index + 1}`)];
const stateDir = stateFolder();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort();
  });
}

const start = async () => {
  try {
    return await startStack({
      stateDir,
      services: 'all',
      ports: 'preferred',
      workers: Number(options.workers),
      signal: stopping.signal,
      report: ({ part, message }) => say(message, part),
      env: { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps`.trim() },
      ...(options.port === undefined ? {} : { apiPort: Number(options.port) }),
    });
  } catch (error) {
    if (stopping.signal.aborted) process.exit(0);
    console.error(error.message);
    process.exit(1);
  }
};
const stack = await start();

const openInspector = () => {
  if (options.inspect === undefined) return;
  stack.signal(options.inspect, 'SIGUSR1');
  say(`${options.inspect} can be debugged on 127.0.0.1:9229`);
};

/** @returns whether the script succeeded; it printed what was wrong otherwise. */
const runScript = (script) =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [join('scripts', script)], { stdio: 'inherit' });
    child.once('exit', (code) => resolve(code === 0));
  });

/** Compiled and SQL files, relative to dist/ and src/, that changed since the last restart. */
let changes = new Set();
let restarting = Promise.resolve();

const restart = async () => {
  const changed = [...changes];
  changes = new Set();
  if (changed.length === 0 || stopping.signal.aborted) return;
  const startedMs = performance.now();
  say(`${changed.slice(0, 3).join(', ')}${changed.length > 3 ? ` and ${changed.length - 3} more` : ''} changed`);
  if (changed.some((file) => file.endsWith('.sql')) && !(await runScript('copy-sql.mjs'))) return;
  if (changed.some((file) => /^(workflows|contracts)\//.test(file)) && !(await runScript('build-workflows.mjs')))
    return;
  for (const name of names) stack.signal(name, 'SIGTERM');
  try {
    await Promise.all(names.map((name) => stack.waitReady(name)));
    say(`server and workers restarted in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    openInspector();
  } catch (error) {
    if (!stopping.signal.aborted) say(error.message);
  }
};
const restartSoon = () => {
  restarting = restarting.then(restart);
};

// The compiler does not watch SQL files. An editor may write a file in several steps, hence the delay.
let sqlTimer;
const sqlWatcher = watchFolder('src/stores', { recursive: true }, (_event, file) => {
  if (!file?.endsWith('.sql')) return;
  changes.add(join('stores', file));
  clearTimeout(sqlTimer);
  sqlTimer = setTimeout(restartSoon, 200);
});

const formatHost = {
  getCanonicalFileName: (path) => path,
  getCurrentDirectory: () => root,
  getNewLine: () => '\n',
};
const onDiagnostic = (diagnostic) => console.error(ts.formatDiagnosticsWithColorAndContext([diagnostic], formatHost));
const compiled = 6194; // TypeScript's "Found {0} errors. Watching for file changes."
const compiledWithOneError = 6193;
let isFirst = true;
const onStatus = ({ code }, _newLine, _options, errors = 0) => {
  if (code !== compiled && code !== compiledWithOneError) return;
  if (errors > 0) say(`${errors} error${errors === 1 ? '' : 's'}: the running processes stay as they are`);
  else if (isFirst) say('watching src/');
  else restartSoon();
  isFirst = false;
};

const system = {
  ...ts.sys,
  writeFile: (path, ...rest) => {
    // The first run writes what setup has just built.
    if (!isFirst && path.endsWith('.js')) changes.add(relative(join(root, 'dist'), path));
    ts.sys.writeFile(path, ...rest);
  },
};
const host = ts.createWatchCompilerHost(
  join(root, 'tsconfig.build.json'),
  { noEmitOnError: true },
  system,
  ts.createEmitAndSemanticDiagnosticsBuilderProgram,
  onDiagnostic,
  onStatus,
);
const watch = ts.createWatchProgram(host);
openInspector();
say(`API ${stack.urls.api}, Temporal UI ${stack.urls.temporalUi}, logs in ${relative(root, join(stateDir, 'logs'))}`);

await new Promise((resolve) => {
  if (stopping.signal.aborted) resolve();
  stopping.signal.addEventListener('abort', resolve, { once: true });
});
watch.close();
sqlWatcher.close();
await restarting;
say('stopping');
await stack.stop();
