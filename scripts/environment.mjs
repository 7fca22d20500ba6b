import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's folder. */
export const root = fileURLToPath(new URL('..', import.meta.url)) // an old Node has no import.meta.dirname

/**
 * How Node starts the service: `node`, these, `scripts/start.mjs`.
 *
 * V8 collects garbage with the help of threads, four of them on any machine. On two cores, or beside other workers,
 * they keep each other and all else from the processor: with one, calls are as fast, and fewer of them are late.
 */
export const nodeOptions = ['--v8-pool-size=1']

const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')

/** Ends the process with one line. */
export function stop (sentence) {
  console.error(sentence)
  process.exit(1)
}

export function isExecutable (path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** One clear line instead of a syntax error deep in a dependency. */
export function checkNodeVersion () {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  stop(`Node.js 20.19 or later is needed, and this is ${process.versions.node}.`)
}

/** Installs the dependencies when they are missing or older than package-lock.json. */
export function installDependencies () {
  const modules = join(root, 'node_modules')
  // `npm ci` empties the folder that a link points to, and that is another clone's.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) return
  if (isInstalled(modules)) return
  // Two installations at once would ruin each other.
  withLock('install', () => {
    if (isInstalled(modules)) return
    console.error('Installing the dependencies …')
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], 'The dependencies could not be installed.')
  })
}

function isInstalled (modules) {
  const installed = statSync(join(modules, '.package-lock.json'), { throwIfNoEntry: false })?.mtimeMs ?? 0
  return installed >= statSync(join(root, 'package-lock.json')).mtimeMs
}

/** Runs `act` while no other process of this clone does so under the same name. */
function withLock (name, act) {
  const lock = join(root, '.data', `${name}.lock`)
  mkdirSync(dirname(lock), { recursive: true })
  while (!takeLock(lock)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  try {
    act()
  } finally {
    rmSync(lock, { force: true })
  }
}

function takeLock (lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
  }
  // Its owner may have been killed.
  const owner = existsSync(lock) ? Number(readFileSync(lock, 'utf8')) : 0
  try {
    if (owner > 0) process.kill(owner, 0)
  } catch {
    rmSync(lock, { force: true })
  }
  return false
}

/** Builds the service into dist/, unless dist/ is what was built from the same sources. */
export function build () {
  const dist = join(root, 'dist')
  if (existsSync(join(dist, stamp)) && readFileSync(join(dist, stamp), 'utf8') === stampOf(dist)) return
  console.error('Building …')
  compile()
}

/**
 * Compiles the service into dist/, with its Lua scripts beside the code that reads them.
 *
 * A folder that is complete takes the place of dist/. So no start meets a half build, or a plugin whose source is
 * deleted.
 */
export function compile () {
  const name = `dist.${process.pid}`
  run(process.execPath, [tsc, '--outDir', name], 'The build failed.')
  copyLua(name)
  writeFileSync(join(root, name, stamp), stampOf(join(root, name)))
  const [built, dist, old] = [name, 'dist', `${name}.old`].map(folder => join(root, folder))
  if (existsSync(dist)) renameSync(dist, old)
  try {
    renameSync(built, dist)
  } catch (error) {
    if (!existsSync(dist)) throw error
    rmSync(built, { recursive: true }) // another process has built the same meanwhile
  }
  rmSync(old, { recursive: true, force: true })
}

const stamp = 'stamp.txt'

/** What a folder was built from, and what is in it: a build that was changed afterwards is not what was built. */
function stampOf (folder) {
  const sources = ['app.ts', 'tsconfig.json', 'package.json', ...['plugins', 'routes', 'lib'].flatMap(filesIn)]
  const outputs = readdirSync(folder, { recursive: true })
    .filter(name => name !== stamp)
    .sort()
    .map(name => {
      const { size, mtimeMs } = statSync(join(folder, name))
      return /\.\w+$/.test(name) ? [name, size, mtimeMs] : [name]
    })
  return digestOf([...sources.sort().map(file => readFileSync(join(root, file))), outputs])
}

/** Short for a SHA-256 of bytes and of values that are JSON. */
export function digestOf (parts) {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(Buffer.isBuffer(part) ? part : JSON.stringify(part))
  return hash.digest('hex').slice(0, 16)
}

/** Whether a file of lib/ is no code of the service's own, but read by it. */
export const isReadAtRunTime = file => /\.(lua|js|css)$/.test(file)

/** Copies what lib/ reads at run time into a folder of compiled code: Lua scripts, and files for browsers. */
export function copyLua (folder) {
  const scripts = filesIn('lib').filter(isReadAtRunTime)
  for (const file of scripts) cpSync(join(root, file), join(root, folder, file))
}

/** Files of one of the project's folders and of the folders in it, by their names in the project. */
export function filesIn (folder) {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => relative(root, join(entry.parentPath, entry.name)))
}

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
