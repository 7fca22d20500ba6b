/* Services of other versions: checkouts that are built, or commits that are built for one run. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { atEnd, openSession, root, temporaryFolder } from './bench.mjs'

/** The folder of a checkout that is built. A commit gets a worktree of its own, which is gone after the run. */
export function provideCheckout (folderOrCommit) {
  if (existsSync(join(folderOrCommit, 'dist', 'app.js'))) return resolve(folderOrCommit)
  if (existsSync(join(folderOrCommit, 'app.ts'))) throw new Error(`${folderOrCommit} is not built: npm run build there`)
  const commit = git(root, 'rev-parse', '--verify', '--end-of-options', `${folderOrCommit}^{commit}`)
  const parent = mkdtempSync(join(tmpdir(), 'mcp-bench-commit-'))
  const checkout = join(parent, 'checkout')
  removeAtEnd(() => {
    // Without the link first, nothing can follow it into our own modules.
    rmSync(join(checkout, 'node_modules'), { force: true })
    rmSync(parent, { recursive: true, force: true })
    git(root, 'worktree', 'prune')
  })
  console.error(`Building ${commit.slice(0, 10)} …`)
  git(root, 'worktree', 'add', '--detach', checkout, commit)
  checkDependencies(checkout, folderOrCommit)
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'))
  execFileSync(process.execPath, [join(checkout, 'scripts', 'build.mjs')], { stdio: ['ignore', 'inherit', 'inherit'] })
  return checkout
}

function git (cwd, ...args) {
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

/** Also when the run is stopped: a worktree that stays would be known to git. */
function removeAtEnd (remove) {
  let isRemoved = false
  const once = () => {
    if (!isRemoved) remove()
    isRemoved = true
  }
  atEnd(once)
  process.once('exit', once)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))
}

/** Another version of a package would be measured as the commit's own work. */
function checkDependencies (checkout, name) {
  const [theirs, ours] = [checkout, root].map(folder => {
    const { packages } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'))
    const needed = Object.entries(packages).filter(([, { dev }]) => dev !== true)
    return new Map(needed.map(([key, { version }]) => [key, version]))
  })
  theirs.delete('') // the project itself
  const different = [...theirs].filter(([key, version]) => ours.get(key) !== version).map(([key]) => key)
  if (different.length === 0) return
  throw new Error(`${name} has other versions of ${different.slice(0, 5).join(', ')}${different.length > 5 ? ' …' : ''}: ` +
    'check it out, run npm ci && npm run build there, and give that folder')
}

/**
 * Starts the built service of a checkout, with its own scripts and one entry of a servers file. It has as many sessions
 * as `sessionCount` says.
 */
export async function startCheckout (checkout, redis, { entry, settings, nodeOptions = [], sessionCount = 1 }) {
  const { startService } = await import(join(checkout, 'scripts', 'private-service.mjs'))
  const file = join(await temporaryFolder(), 'servers.json')
  await writeFile(file, JSON.stringify({ mcpServers: { upstream: entry } }))
  const environment = {
    REDIS_URL: redis.url,
    MCP_SESSION_KEY_PREFIX: `bench${Math.random().toString(36).slice(2)}`,
    MCP_SERVERS_FILE: file,
    MCP_VALUES: 'chain', // an older checkout knows nothing else
    MCP_SESSION_MAX_CONCURRENCY: '1000',
    ...settings
  }
  const { child, exited, listening } = startService({ cwd: tmpdir(), environment, nodeOptions })
  const stop = async () => {
    child.kill('SIGTERM')
    await exited
  }
  atEnd(stop)
  const service = { url: await listening, pid: child.pid, child, stop }
  const sessions = await Promise.all(Array.from({ length: sessionCount }, () => openSession(service)))
  return { ...service, sessions }
}
