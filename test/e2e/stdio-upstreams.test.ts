import { readFile } from 'node:fs/promises'
import { getPriority } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { serversOf } from '../support/processes.ts'
import { startRedis } from '../support/redis.ts'
import { bodiesOf, call, initSession, postTo } from '../support/requests.ts'
import { credential, variable } from '../support/servers-file.ts'
import { serviceOn } from '../support/service.ts'

const stdio = (name: string, ...args: string[]) => ({
  command: process.execPath,
  args: [fixture(`${name}-server.mjs`), ...args]
})

interface Given {
  pid: number
  argv: string[]
  env: Record<string, string>
}

for (const [era, name] of [
  ['2025', 'stdio-2025'],
  ['2026', 'stdio-2026']
] as const) {
  t.test(`each session's process of a ${era} server is given its own credentials, and nobody else's`, async t => {
    const password = 'canary-redis-password-4711'
    const redis = await startRedis(t, ['--requirepass', password])
    const service = await serviceOn(
      t,
      {
        up: {
          ...stdio(name, `--token=${credential('jwtToken')}`),
          env: {
            TOKEN: `Bearer ${credential('jwtToken')}`,
            API_URL: credential('apiUrl'),
            OWN: variable('OWN_SECRET')
          }
        }
      },
      {
        REDIS_URL: redis.url.replace('unix://', `unix://:${password}@localhost`),
        REDIS_PASSWORD: password,
        OWN_SECRET: 'canary-operator',
        MCP_WARM_SPARES: '2'
      }
    )
    const users = await Promise.all(
      ['ann', 'bob'].map(async name => {
        const fields = { apiUrl: `https://${name}.example.com`, jwtToken: `canary-${name}.a.b` }
        return { ...fields, id: await initSession(service, fields) }
      })
    )
    for (let round = 0; round < 2; round++) {
      const given = await bodiesOf<Given>(users.map(({ id }) => call(service, id, 'environment')))
      t.not(given[0]?.pid, given[1]?.pid)
      for (const [position, { jwtToken, apiUrl }] of users.entries()) {
        const { argv = [], env = {} } = given[position] ?? {}
        t.match(
          { argv, env },
          {
            argv: [`--token=${jwtToken}`],
            env: { TOKEN: `Bearer ${jwtToken}`, API_URL: apiUrl, OWN: 'canary-operator' }
          }
        )
        const text = JSON.stringify(given[position])
        t.notOk(text.includes(password) || text.includes(users[1 - position]?.jwtToken ?? ''))
        t.notOk(Object.keys(env).some(name => /^(REDIS|MCP)_|^OWN_SECRET$/.test(name)))
      }
      await service.deferredSettled()
    }
    t.strictSame(
      service.processCounts(),
      { alive: 0, starting: 0, waiting: 0, sparesReady: 0 },
      "no spare can be anybody's"
    )
  })
}

/** Which processes started, and what was asked of each. */
async function notes (file: string): Promise<Array<[pid: string, what: string]>> {
  return (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map(line => line.split(' ') as [string, string])
}

const noteFile = async (t: Test) => join(await makeFolder(t), 'notes')

t.test('a server that ends when it is asked for its era is asked once, and then started once a request', async t => {
  const note = await noteFile(t)
  const service = await serviceOn(t, { up: stdio('probe-shy', `--note=${note}`) })
  const id = await initSession(service)
  for (let times = 0; times < 3; times++) {
    t.match((await call(service, id, 'echo', { text: times })).json(), { text: times })
  }
  await service.deferredSettled()
  const seen = await notes(note)
  // The first request starts it twice; listing and calling are one process.
  t.equal(seen.filter(([, what]) => what === 'start').length, 4)
  t.equal(seen.filter(([, what]) => what === 'server/discover').length, 1)
})

t.test(
  'a server that is silent when it is asked for its era is taken for an old one in time, and remembered as such',
  async t => {
    const note = await noteFile(t)
    const service = await serviceOn(t, {
      up: { ...stdio('probe-shy', '--silent', `--note=${note}`), timeouts: { start: 6 } }
    })
    const id = await initSession(service)
    for (let times = 0; times < 3; times++) { t.match((await call(service, id, 'echo', { text: times })).json(), { text: times }) }
    await service.deferredSettled()
    const seen = await notes(note)
    t.equal(seen.filter(([, what]) => what === 'start').length, 3)
    t.equal(seen.filter(([, what]) => what === 'server/discover').length, 1)
  }
)

for (const args of [[], ['--modern-only']]) {
  t.test(`a server of 2026 over stdio lists and calls ${args[0] ?? ''}`, async t => {
    const service = await serviceOn(t, { up: stdio('stdio-2026', ...args) })
    const id = await initSession(service)
    const { tools } = (await postTo(service, '/tools', { session_id: id })).json()
    t.ok(tools.some(({ name }: { name: string }) => name === 'echo'))
    for (let times = 0; times < 2; times++) {
      t.match((await call(service, id, 'echo', { text: times })).json(), { status: 'success', text: times })
    }
    t.match((await call(service, id, 'fail', { reason: 'no luck' })).json(), { status: 'error', error: 'no luck' })
    t.match((await call(service, id, 'refuse', { reason: 'not so' })).json(), { status: 'error', error: 'not so' })
    t.equal((await call(service, id, 'none')).statusCode, 404)
  })
}

t.test('servers stand back as far as MCP_SERVER_NICENESS says', async t => {
  for (const niceness of [0, 7]) {
    const service = await serviceOn(t, { tiny: { ...stdio('tiny'), lifecycle: 'shared' } }, {
      MCP_SERVER_NICENESS: String(niceness)
    })
    const others = serversOf(process.pid)
    await call(service, await initSession(service), 'echo')
    const started = serversOf(process.pid).filter(pid => !others.includes(pid))
    t.strictSame(started.map(pid => getPriority(pid)), [Math.min(getPriority() + niceness, 19)])
  }
})
