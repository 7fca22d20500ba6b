import { exec, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { makeFolder } from '../support/folders.ts'
import { freePort } from '../support/ports.ts'
import { isAlive, processes } from '../support/processes.ts'
import { post } from '../support/requests.ts'
import { until } from '../support/wait.ts'

const root = join(import.meta.dirname, '..', '..')
const shell = promisify(exec)

async function quickstart (t: Test, env: Record<string, string>) {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(MCP_|REDIS_HOST|REDIS_URL|FASTIFY_)/.test(name)
  )
  const child = spawn(process.execPath, [join(root, 'scripts', 'quickstart.mjs')], {
    cwd: root,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  }
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exited
  })
  return { child, output: () => output, exited }
}

/** Every process below one. */
function descendants (pid: number): number[] {
  const all = processes()
  const below = (parent: number): number[] =>
    all.filter(process => process.parent === parent).flatMap(child => [child.pid, ...below(child.pid)])
  return below(pid)
}

t.test(
  'one command runs everything, its curls work when pasted, and Ctrl-C leaves nothing but the sessions',
  async t => {
    const folder = await makeFolder(t)
    const [port, apiPort] = [await freePort(), await freePort()]
    const env = {
      MCP_CLIENT_PORT: String(port),
      DEMO_API_PORT: String(apiPort),
      DEMO_REDIS_DIR: join(folder, 'redis')
    }
    const first = await quickstart(t, env)
    await until(() => {
      if (first.child.exitCode !== null) throw new Error(first.output())
      return first.output().includes('Ctrl-C stops all of it')
    }, 'everything runs')

    const curls = first
      .output()
      .split('\n')
      .filter(line => line.startsWith('curl '))
    t.ok(curls.length >= 3, 'at least three commands are printed')
    const answers: Array<Record<string, unknown>> = []
    for (const command of curls.slice(0, -1)) {
      answers.push(JSON.parse((await shell(`${command} --noproxy '*' --max-time 30`)).stdout))
    }
    t.match(answers[0], { status: 'ok' })
    t.match(answers[1], { tools: Array, workflow_guidance: Object })
    for (const answer of answers.slice(2)) t.equal(answer.status, 'success')

    const processes = descendants(first.child.pid ?? 0)
    t.ok(processes.length >= 2, 'Redis and the service run below it')
    first.child.kill('SIGINT')
    t.strictSame(await first.exited, [0, null])
    await until(() => !processes.some(isAlive), 'all processes are gone')

    const second = await quickstart(t, env)
    await until(() => second.output().includes('Ctrl-C stops all of it'), 'everything runs again')
    const again = await post(`http://127.0.0.1:${port}/call-tool`, {
      session_id: 'demo',
      tool: 'generate_strategy',
      params: {}
    })
    t.match(
      again,
      { status: 200, body: { status: 'success', strategy: { question: 'Which weather brings the most wind?' } } },
      'the session of the first start goes on'
    )

    const left = descendants(second.child.pid ?? 0)
    second.child.kill('SIGKILL')
    await until(() => !left.some(isAlive), 'all processes are gone, although nobody could end them')
  }
)

t.test('a port that is taken, and a Redis that does not answer, are one line each', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo

  const onTaken = await quickstart(t, { MCP_CLIENT_PORT: String(port) })
  t.strictSame(await onTaken.exited, [1, null])
  t.equal(
    onTaken.output().trim(),
    `MCP_CLIENT_PORT must be a free port, but 127.0.0.1:${port} is taken by another process. Try: MCP_CLIENT_PORT=33010 npm run quickstart`
  )

  const withoutRedis = await quickstart(t, {
    MCP_CLIENT_PORT: String(await freePort()),
    DEMO_API_PORT: String(await freePort()),
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: String(await freePort())
  })
  t.strictSame(await withoutRedis.exited, [1, null])
  t.match(withoutRedis.output(), /^Redis at 127\.0\.0\.1:\d+ cannot be used: connect ECONNREFUSED/m)
})

t.test('no Redis binary to be had says which three ways there are', async t => {
  const run = await quickstart(t, {
    MCP_CLIENT_PORT: String(await freePort()),
    REDIS_SERVER_BIN: '/nowhere/redis-server'
  })
  t.strictSame(await run.exited, [1, null])
  t.match(run.output(), /three ways to get one:\n {2}1\. .*\n {2}2\. .*REDIS_SERVER_BIN.*\n {2}3\. .*REDIS_HOST/)
})
