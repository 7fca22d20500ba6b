import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's folder. */
export const root = fileURLToPath(new URL('..', import.meta.url)) // an old Node has no import.meta.dirname, and must get as far as being told so

/** Ends the process with one line. */
export function stop (sentence) {
  console.error(sentence)
  process.exit(1)
}

/** One clear line instead of a syntax error deep in a dependency. */
export function checkNodeVersion () {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  stop(`Node.js 20.19 or later is needed, and this is ${process.versions.node}.`)
}

/** Installs the dependencies when they are missing or older than package-lock.json. */
export function installDependencies () {
  const lock = join(root, 'package-lock.json')
  const modules = join(root, 'node_modules')
  const installed = join(modules, '.package-lock.json')
  // `npm ci` empties the folder that a link points to, and that is another clone's.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) return
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  console.log('Installing the dependencies …')
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], 'The dependencies could not be installed.')
}

/** Builds the service, unless what was built is younger than all that it is built from. */
export function build () {
  const folders = ['plugins', 'routes', 'lib'].flatMap(folder => readdirSync(join(root, folder), { recursive: true }).map(file => join(folder, file)))
  const sources = ['app.ts', 'tsconfig.json', 'package.json', ...folders.filter(file => file.endsWith('.ts'))]
  const built = statSync(join(root, 'dist', 'app.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (sources.every(file => statSync(join(root, file)).mtimeMs < built)) return
  console.log('Building …')
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc')], 'The build failed.')
}

/** Runs a command in the project's folder, its output on ours. */
export function run (command, args, failure) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) stop(failure)
}

/** Reads `.env` as fastify-cli does: what is set already stays. */
export function loadDotEnv () {
  const file = join(process.cwd(), '.env')
  if (existsSync(file)) process.loadEnvFile(file)
}
