import { chmod, copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { isAlive } from '../support/processes.ts'
import { callAt, openSession } from '../support/requests.ts'
import { type Entries, serversFile } from '../support/servers-file.ts'
import { type Environment, listen, type Service, spawnService, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(120_000)

const isRoot = process.getuid?.() === 0
const nobody = { uid: 65_534, gid: 65_534 }
const canary = 'canary-that-only-the-service-may-read'

/** A folder that every user may enter, with a server in it that looks for what is its service's. */
async function publicFolder (t: Test): Promise<string> {
  const folder = await makeFolder(t)
  await chmod(folder, 0o755)
  await copyFile(fixture('prying-server.mjs'), join(folder, 'server.mjs'))
  await chmod(join(folder, 'server.mjs'), 0o644)
  return folder
}

/** A service with these servers, whose secrets are in its environment and in a file of its user. */
async function pried (t: Test, entries: Entries, env: Environment = {}) {
  const folder = await publicFolder(t)
  const file = join(folder, 'secret')
  await writeFile(file, canary, { mode: 0o600 })
  const mcpServers = Object.fromEntries(Object.entries(entries).map(([name, fields]) =>
    [name, { command: process.execPath, args: ['server.mjs'], cwd: folder, ...fields }]))
  const settings = { MCP_SERVERS_FILE: await serversFile(t, mcpServers), OPERATOR_SECRET: canary, ...env }
  return { folder, file, settings }
}

interface Found { pid: number, user: number, group: number, env: Record<string, string>, [what: string]: unknown }

async function pry (service: { url: string }, tool: string, file: string): Promise<Found> {
  const { status, body } = await callAt(service, await openSession(service), tool, { file })
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body as Found
}

/** The start is refused where the service is not root: there the tests below have nothing else to show. */
async function isRefused (t: Test, settings: Environment): Promise<boolean> {
  if (isRoot) return false
  const { exited, output } = await spawnService(t, {
    MCP_CLIENT_PORT: '0', MCP_SKIP_VALIDATION: 'true', ...settings
  })
  t.strictSame(await exited, { code: 1, signal: null })
  t.match(output(), /^MCP_SERVERS_FILE: server "[a-z]+": uid must be \d+, the service's own user: only a service/m)
  return true
}

t.test('a server of another user reads nothing of the service, and cannot become its user again', async t => {
  const { file, folder, settings } = await pried(t, {
    fresh: { ...nobody, warmSpares: 0 },
    spare: { ...nobody, warmSpares: 1 },
    shared: { ...nobody, lifecycle: 'shared' },
    grouped: { uid: 65_534, warmSpares: 0 },
    own: { warmSpares: 0 }
  })
  if (await isRefused(t, settings)) return
  const service = await startService(t, settings)

  const own = await pry(service, 'own__pry', file)
  t.match(own.environment, canary, 'a server of the service\'s user reads the service\'s environment')
  t.equal(own.file, canary, 'and its files')
  t.equal(own.signal, true)

  await until(async () => {
    const { processes } = await (await fetch(`${service.url}/health`)).json() as { processes: { spares_ready: number } }
    return processes.spares_ready === 1
  }, 'a spare is ready')
  for (const name of ['fresh', 'spare', 'shared', 'grouped']) {
    const { pid, env, ...found } = await pry(service, `${name}__pry`, file)
    t.strictSame(found, {
      user: 65_534,
      // Without a gid the server keeps the group of the service, and none of its other groups.
      group: name === 'grouped' ? process.getgid?.() : 65_534,
      groups: [name === 'grouped' ? process.getgid?.() : 65_534],
      cwd: folder,
      capabilities: ['CapPrm:\t0000000000000000', 'CapEff:\t0000000000000000', 'CapAmb:\t0000000000000000'],
      environment: 'EACCES',
      memory: 'EACCES',
      descriptors: 'EACCES',
      folder: 'EACCES',
      file: 'EACCES',
      signal: 'EPERM',
      userAgain: 'EPERM',
      groupAgain: name === 'grouped' ? 'changed' : 'EPERM'
    }, name)
    t.strictSame(Object.keys(env).filter(variable => /^(HOME|LOGNAME|USER|SHELL|TMPDIR)$/.test(variable)), [], name)
    t.notMatch(JSON.stringify(env), canary)
  }
})

t.test('a server of another user ends with all its processes, when its request ends and when its worker is killed', async t => {
  const { settings } = await pried(t, {
    fresh: { ...nobody, warmSpares: 0 }, shared: { ...nobody, lifecycle: 'shared' }
  })
  if (await isRefused(t, settings)) return
  const service: Service = await startService(t, settings)

  const fresh = await pry(service, 'fresh__leave', '') as Found & { child: number }
  await until(() => !isAlive(fresh.pid) && !isAlive(fresh.child), 'the server of the request and its child have ended')

  const shared = await pry(service, 'shared__leave', '') as Found & { child: number }
  t.ok(isAlive(shared.pid) && isAlive(shared.child))
  service.kill('SIGKILL')
  await service.exited
  await until(() => !isAlive(shared.pid) && !isAlive(shared.child), 'they have ended with their worker')
})

t.test('a server whose user may not run it any more fails with its user in the sentence', async t => {
  const { folder, settings } = await pried(t, {
    closed: { ...nobody, command: './run', args: [], warmSpares: 0 }
  })
  await copyFile('/bin/sh', join(folder, 'run'))
  await chmod(join(folder, 'run'), 0o755)
  if (await isRefused(t, settings)) return
  const service = await listen(t, settings)
  await chmod(join(folder, 'run'), 0o700)
  const { status, body } = await callAt(service, await openSession(service), 'pry')
  t.equal(status, 502)
  t.match(body, { code: 'MCPC_ERR_MCP_START', error: /could not be started as user 65534: EACCES/ })
})
