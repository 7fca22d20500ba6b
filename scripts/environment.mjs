import { cpSync, existsSync, lstatSync, readdirSync, statSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's folder. */
export const root = fileURLToPath(new URL('..', import.meta.url)) // an old Node has no import.meta.dirname

const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')

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

/** Builds the service, unless the last build is younger than all its sources. */
export function build () {
  const files = ['plugins', 'routes', 'lib'].flatMap(filesIn)
  const sources = ['app.ts', 'tsconfig.json', 'package.json', ...files.filter(file => /\.(ts|lua)$/.test(file))]
  const built = statSync(join(root, 'dist', 'app.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (sources.every(file => statSync(join(root, file)).mtimeMs < built)) return
  console.log('Building …')
  compile()
}

/** Compiles the service into dist/, and copies its Lua scripts beside the code that reads them. */
export function compile () {
  run(process.execPath, [tsc], 'The build failed.')
  copyLua('dist')
}

/** Copies the Lua scripts of lib/ into a folder of compiled code. */
export function copyLua (folder) {
  const scripts = filesIn('lib').filter(file => file.endsWith('.lua'))
  for (const file of scripts) cpSync(join(root, file), join(root, folder, file))
}

const filesIn = folder => readdirSync(join(root, folder), { recursive: true }).map(file => join(folder, file))

/** Runs a command in the project's folder, its output on ours. */
export function run (command, args, failure) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) stop(failure)
}

/** Reads `.env` as fastify-cli does: variables that are set already stay. */
export function loadDotEnv () {
  const file = join(process.cwd(), '.env')
  if (existsSync(file)) process.loadEnvFile(file)
}
