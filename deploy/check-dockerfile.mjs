/*
 * Follows the Dockerfile without Docker, in a temporary folder, and uses the result:
 *
 *   node deploy/check-dockerfile.mjs [script of an MCP server with a tool `echo`]
 *
 * Each stage is a folder. COPY, RUN, ENV, WORKDIR, HEALTHCHECK and CMD are read from the Dockerfile itself, so that
 * this script cannot drift from it. Only apt-get is left out, which needs the base image. An unknown instruction fails.
 * The script ends with exit code 0 and a report, or 1 and a reason, within four minutes. It leaves no file and no
 * process.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync, cpSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, posix } from 'node:path'
import { findRedisServer, startRedisServer, waysToGetRedis } from '../scripts/redis-server.mjs'
import { freePort } from '../scripts/ports.mjs'
import { collectOutput, outerEnvironment, tryService } from '../scripts/try-service.mjs'

const root = join(import.meta.dirname, '..')
const serverScript = process.argv[2] ?? join(root, 'test', 'fixtures', 'tiny-server.mjs')
const failed = new AbortController()
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => failed.abort(new Error(`stopped by ${name}`)))
const over = AbortSignal.any([failed.signal, AbortSignal.timeout(225_000)])

/** The final image holds exactly these in its WORKDIR. */
const imageFiles = ['.npmrc', 'dist', 'node_modules', 'package-lock.json', 'package.json', 'sbom.cdx.json', 'scripts']
const imageScripts = ['api-key.mjs', 'environment.mjs', 'fastify-cli.mjs', 'signals.mjs', 'start.mjs']
/** What production dependencies may take on a disk (bytes, as whole blocks). */
const maxModulesBytes = 90_000_000
/** The user `node` of the base image. */
const userId = 1000

const folder = mkdtempSync(join(tmpdir(), 'mcp-check-dockerfile-'))
chmodSync(folder, 0o755)
const cleanups = [() => rmSync(folder, { recursive: true, force: true })]
process.exitCode = await main().then(() => 0, error => {
  console.error(`The Dockerfile does not hold: ${error.message}`)
  return 1
})
for (const cleanup of cleanups.reverse()) await cleanup()

async function main () {
  const image = await build(parse(readFileSync(join(root, 'Dockerfile'), 'utf8')))
  checkContents(image)
  await use(image)
}

/** Instructions as `{ name, flags, text, list }`; `list` for the JSON form. */
function parse (dockerfile) {
  const lines = dockerfile.split('\n').filter(line => !/^\s*(#|$)/.test(line)).join('\n').replace(/\\\n\s*/g, '')
  return lines.split('\n').map(line => {
    const match = /^([A-Z]+)\s+((?:--\S+\s+)*)(.*)$/.exec(line) ?? fail(`cannot read ${JSON.stringify(line)}`)
    const [, name, flagText, text] = match
    const flagTexts = flagText.trim().split(/\s+/).filter(Boolean)
    const flags = Object.fromEntries(flagTexts.map(flag => flag.slice(2).split(/=(.*)/)))
    return { name, flags, text, list: text.startsWith('[') ? JSON.parse(text) : text.split(/\s+/) }
  })
}

/** Builds all stages in parallel, as BuildKit does; a stage that copies from another waits for it. Gives the last. */
async function build (instructions) {
  const stages = new Map()
  const starts = instructions.flatMap(({ name }, index) => name === 'FROM' ? [index] : [])
  for (const [index, start] of starts.entries()) {
    const [from, ...steps] = instructions.slice(start, starts[index + 1])
    const stage = { folder: join(folder, `stage-${index}`), workdir: '/', env: {}, user: 'root' }
    mkdirSync(stage.folder)
    stages.set(from.list[2] ?? String(index), { stage, built: buildStage(stage, steps, stages) })
  }
  const all = [...stages.values()].map(({ built }) => built)
  await Promise.all(all).catch(async error => {
    failed.abort()
    await Promise.allSettled(all)
    throw error
  })
  return [...stages.values()].at(-1).stage
}

async function buildStage (stage, steps, stages) {
  const apply = {
    ARG () {},
    EXPOSE () {},
    LABEL () {},
    WORKDIR ({ text }) {
      stage.workdir = text
      mkdirSync(inStage(stage, text), { recursive: true })
    },
    ENV ({ list }) {
      for (const pair of list) {
        const [name, value] = pair.split(/=(.*)/)
        stage.env[name] = value
      }
    },
    async COPY ({ flags, list }) {
      const other = flags.from && stages.get(flags.from)
      await other?.built
      for (const source of list.slice(0, -1)) copy(source, list.at(-1), other?.stage)
    },
    async RUN ({ text }) {
      if (text.startsWith('apt-get ')) return console.log(`left out: RUN ${text}`)
      console.log(`RUN ${text}: ${await run(text, stage)} s`)
    },
    USER ({ text }) { stage.user = text },
    HEALTHCHECK ({ text }) { stage.health = JSON.parse(text.replace(/^CMD /, '')) },
    ENTRYPOINT ({ list }) { stage.entrypoint = list },
    CMD ({ list }) { stage.command = list }
  }

  function copy (source, target, from) {
    const path = join(from?.folder ?? root, source)
    if (!existsSync(path)) fail(`COPY ${source}: it is not there`)
    const isIgnored = from === undefined && ignored().includes(source.split('/')[0])
    if (isIgnored) fail(`COPY ${source}: .dockerignore leaves it out`)
    // As in Docker, a folder's contents go into the target, and a file keeps its own name.
    const destination = statSync(path).isDirectory() ? target : posix.join(target, basename(source))
    cpSync(path, inStage(stage, destination), { recursive: true })
  }

  for (const instruction of steps) {
    const step = apply[instruction.name] ?? fail(`this script does not know ${instruction.name}`)
    await step(instruction)
  }
}

function inStage ({ folder, workdir }, path) {
  return join(folder, posix.resolve(workdir, path))
}

function ignored () {
  const lines = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n')
  return lines.filter(line => line !== '' && !line.startsWith('#'))
}

/** Runs a shell command in a stage, as Docker's RUN does, and gives the seconds it took. */
async function run (command, stage) {
  over.throwIfAborted()
  const start = performance.now()
  // npm keeps this machine's settings, and takes from its cache before it downloads.
  const npmSettings = { npm_config_prefer_offline: 'true', npm_config_update_notifier: 'false' }
  const child = spawn('sh', ['-c', command], {
    cwd: inStage(stage, '.'),
    env: { ...outerEnvironment(), ...npmSettings, ...stage.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true
  })
  const output = collectOutput(child)
  const stop = () => signal(-child.pid, 'SIGKILL')
  over.addEventListener('abort', stop, { once: true })
  const [code] = await once(child, 'close')
  over.removeEventListener('abort', stop)
  const ending = over.aborted ? `was cut off (${over.reason.message})` : `ended with ${code}`
  if (code !== 0) fail(`RUN ${command} ${ending}: ${output().slice(-2_000)}`)
  return Math.round((performance.now() - start) / 100) / 10
}

function checkContents (image) {
  const expect = (actual, expected, what) => {
    if (JSON.stringify(actual) === JSON.stringify(expected)) return
    fail(`${what} holds ${actual}, and should hold ${expected}`)
  }
  expect(readdirSync(inStage(image, '.')).sort(), imageFiles, 'the image')
  expect(readdirSync(inStage(image, 'scripts')).sort(), imageScripts, 'scripts/ in the image')
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  // A development dependency may also be a dependency's own. Only packages of development alone must be absent.
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const isUnwanted = folder => packages[folder]?.dev && existsSync(inStage(image, folder))
  const unwanted = Object.keys(devDependencies).filter(name => isUnwanted(`node_modules/${name}`))
  if (unwanted.length > 0) fail(`the image holds development dependencies: ${unwanted}`)
  if (image.user === 'root') fail('the image runs as root')
  checkSize(inStage(image, 'node_modules'))
  checkBill(inStage(image, '.'))
}

function checkSize (modules) {
  const { files, lengths, blocks } = sizeOf(modules)
  const megabytes = bytes => `${(bytes / 1e6).toFixed(1)} MB`
  console.log(`node_modules: ${megabytes(blocks)} on disk, ${megabytes(lengths)} by lengths of ${files} files`)
  if (blocks > maxModulesBytes) fail(`node_modules takes ${megabytes(blocks)}, more than ${megabytes(maxModulesBytes)}`)
}

/** What all files and folders below a folder take: their lengths, and the blocks of the disk. */
function sizeOf (folder) {
  const sum = { files: 0, lengths: 0, blocks: 0 }
  for (const name of readdirSync(folder, { recursive: true })) {
    const { size, blocks } = lstatSync(join(folder, name))
    sum.files++
    sum.lengths += size
    sum.blocks += blocks * 512
  }
  return sum
}

/** The bill of materials must have each package that the image has, in its version, and no other. */
function checkBill (folder) {
  const { components } = JSON.parse(readFileSync(join(folder, 'sbom.cdx.json'), 'utf8'))
  const said = components.map(({ group, name, version }) => `${group ? `${group}/` : ''}${name}@${version}`)
  const { packages } = JSON.parse(readFileSync(join(folder, 'node_modules', '.package-lock.json'), 'utf8'))
  const installed = Object.entries(packages).map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`)
  const [one, other] = [said, installed].map(names => [...new Set(names)].sort())
  console.log(`sbom.cdx.json: ${one.length} packages`)
  if (one.length < 50 || JSON.stringify(one) !== JSON.stringify(other)) {
    const differ = [...one.filter(name => !other.includes(name)), ...other.filter(name => !one.includes(name))]
    fail(`the bill of materials and node_modules differ: ${differ}`)
  }
}

/** Starts the image's command, and uses it as its users and Docker do. */
async function use (image) {
  const binary = findRedisServer() ?? fail(waysToGetRedis)
  const redisFolder = join(folder, 'redis')
  mkdirSync(redisFolder, { mode: 0o755 })
  const redis = await startRedisServer({ binary, folder: redisFolder, args: ['--unixsocketperm', '777'] })
  cleanups.push(redis.stop)

  const server = join(folder, basename(serverScript))
  cpSync(serverScript, server) // stands for a mount: the image's user may not read the original folder
  const port = await freePort()
  const env = {
    PATH: process.env.PATH,
    ...image.env,
    MCP_CLIENT_PORT: String(port),
    MCP_SERVER_SCRIPT: server,
    MCP_SKIP_VALIDATION: 'true',
    REDIS_URL: redis.url
  }
  const command = existsSync(image.entrypoint[0]) ? [...image.entrypoint, ...image.command] : image.command
  if (command === image.command) {
    console.log(`left out: ENTRYPOINT ${image.entrypoint.join(' ')}, which is not installed here`)
  }
  const asUser = process.getuid?.() === 0 ? { uid: userId, gid: userId } : {}
  const options = { cwd: inStage(image, '.'), env, ...asUser }

  const health = async () => {
    const [file, ...args] = image.health
    const child = spawn(file === 'node' ? process.execPath : file, args, { ...options, stdio: 'ignore' })
    return await exitCode(child, 10_000)
  }
  if (await health() === 0) fail('HEALTHCHECK passes before the service runs')

  const [file, ...args] = command
  await tryService({
    ...options,
    command: [file === 'node' ? process.execPath : file, ...args],
    user: asUser,
    signal: over,
    report: line => console.log(line),
    async onReady () {
      const code = await health()
      if (code !== 0) fail(`HEALTHCHECK ended with ${code} while the service runs`)
      console.log('HEALTHCHECK exit code 0')
    }
  })
}

async function exitCode (child, milliseconds) {
  const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds)
  const [code] = await once(child, 'exit')
  clearTimeout(timer)
  return code
}

function signal (pid, name) {
  try {
    process.kill(pid, name)
  } catch {
    // It has already ended, as it should.
  }
}

function fail (reason) {
  throw new Error(reason)
}
