import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { realpath, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { cases } from '../support/cases.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { root } from '../support/paths.ts'
import { freePort, listens } from '../support/ports.ts'
import { isAlive, processes } from '../support/processes.ts'
import { type Answer, post } from '../support/requests.ts'
import { environment } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.jobs = 4
t.setTimeout(170_000)

/** `npm run <script>` as a terminal or a supervisor starts it, with a process group of its own. */
async function npmRun (t: Test, script: string, cwd = root) {
  const port = await freePort()
  const inherited = Object.entries(process.env).filter(([name]) => !/^(TAP|MCP_|REDIS_|FASTIFY_|npm_)/.test(name))
  const child = spawn('npm', ['run', script], {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...Object.fromEntries(inherited), ...await environment(t), MCP_CLIENT_HOST: '127.0.0.1', MCP_CLIENT_PORT: String(port)
    }
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += String(chunk) })
  const exited = once(child, 'exit')
  const pid = child.pid ?? 0
  t.teardown(async () => {
    for (const left of descendants(pid)) if (isAlive(left)) process.kill(left, 'SIGKILL')
    child.kill('SIGKILL')
    await exited
  })
  await until(() => {
    if (child.exitCode !== null) throw new Error(output)
    return output.includes('Server listening')
  }, 'the service listens')
  return { pid, url: `http://127.0.0.1:${port}`, port, exited, output: () => output, descendants: descendants(pid) }
}

/** Every process below one. */
function descendants (pid: number): number[] {
  const all = processes()
  const below = (parent: number): number[] =>
    all.filter(process => process.parent === parent).flatMap(child => [child.pid, ...below(child.pid)])
  return below(pid)
}

type Ending = readonly [what: string, send: (pid: number) => unknown, code: number | null]

for (const [what, send, code] of cases<Ending>([
  ['SIGTERM to npm', (pid: number) => process.kill(pid, 'SIGTERM'), 0],
  ['Ctrl-C, which npm passes on as well', (pid: number) => process.kill(-pid, 'SIGINT'), 0],
  ['a Ctrl-C that comes twice', (pid: number) => { for (let n = 0; n < 2; n++) process.kill(-pid, 'SIGINT') }, 0],
  ['the death of npm', (pid: number) => process.kill(pid, 'SIGKILL'), null]
], 3)) {
  t.test(`npm start: ${what} ends the service, after the answers of its calls`, async t => {
    const { pid, url, port, exited, output } = await npmRun(t, 'start')
    await post(`${url}/init`, { session_id: 'slow', apiUrl, jwtToken })
    const call = post(`${url}/call-tool`, { session_id: 'slow', tool: 'wait', params: { ms: 2_000 } })
    // The service, its reaper, and the server.
    await until(() => descendants(pid).length > 2, 'its server runs')
    const left = descendants(pid)

    send(pid)

    const answer = await call.catch((error: unknown) => { throw new Error(output(), { cause: error }) })
    t.match(answer, { status: 200, body: { waited: 2_000 } } as unknown as Answer)
    t.equal((await exited)[0], code)
    await until(() => !left.some(isAlive), 'all processes are gone')
    t.notOk(await listens(port))
  })
}

t.test('npm run dev: SIGTERM leaves neither the compiler nor a service', async t => {
  // Its compiler writes over dist/, which other tests use.
  const folder = await makeFolder(t)
  const sources = dirname(await realpath(join(root, 'package.json')))
  const names = ['app.ts', 'plugins', 'routes', 'lib', 'scripts', 'dist', 'package.json', 'package-lock.json', 'tsconfig.json']
  // With its times to the nanosecond, or dist/ would be built anew.
  await promisify(execFile)('cp', ['-rp', ...names.map(name => join(sources, name)), folder])
  await symlink(join(sources, 'node_modules'), join(folder, 'node_modules'))
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const { pid, port, descendants: left, exited } = await npmRun(t, 'dev', folder)
    t.ok(left.length >= 3, `${left.length} processes`)
    process.kill(pid, signal)
    await exited
    await until(() => !left.some(isAlive), 'all processes are gone')
    t.notOk(await listens(port))
  }
})
