import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { isAlive, serversOf } from '../support/processes.ts'
import { post } from '../support/requests.ts'
import { type Entries, serversFile } from '../support/servers-file.ts'
import { build, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

const secret = 'canary-of-the-operator-4711'

t.test(
  'SIGHUP takes the servers file of now, running calls finish, and a file with a fault changes nothing',
  async t => {
    const folder = await makeFolder(t)
    const file = join(folder, 'servers.json')
    const write = async (mcpServers: Entries) => await writeFile(file, JSON.stringify({ mcpServers }))
    const upstream = await startUpstream(t, 'http-2025')
    const shared = {
      command: process.execPath,
      args: [fixture('tiny-server.mjs')],
      lifecycle: 'shared',
      env: { SECRET: secret }
    }
    await write({ shared, http: { url: upstream.url, headers: { authorization: secret } } })

    const service = await startService(t, { MCP_SERVERS_FILE: file, MCP_LOG_LEVEL: 'trace' })
    const session = { session_id: 'ours', apiUrl, jwtToken }
    await post(`${service.url}/init`, session)
    const call = async (tool: string, params: object = {}) =>
      await post(`${service.url}/call-tool`, { ...session, tool, params })
    const reload = async (line: string) => {
      const count = () => service.output().split(line).length
      const before = count()
      service.kill('SIGHUP')
      await until(() => count() > before, `the log says ${line}`)
    }
    t.equal((await call('shared__echo')).status, 200)
    t.match((await call('http__count')).body, { n: 1 })
    const [sharedPid = 0, ...others] = serversOf(service.pid)
    t.ok(sharedPid > 0 && others.length === 0)

    t.comment('a changed file')
    const running = call('shared__wait', { ms: 1_500, note: 'old' })
    const slow = call('http__slow', { delay: 1_500 })
    await until(async () => (await upstream.stats()).calls.slow === 1, 'the call runs')
    await write({
      http: { url: upstream.url, headers: { authorization: secret } },
      fresh: { command: process.execPath, args: [fixture('tiny-server.mjs')] }
    })
    await reload('servers file read again')
    t.match((await call('fresh__echo', { text: 'new' })).body, { text: 'new' })
    t.equal((await call('shared__echo')).status, 404, 'what is gone is gone for new calls')
    t.match((await call('http__count')).body, { n: 2 }, 'what stayed goes on with its sessions')
    t.match((await running).body, { waited: 1_500 }, 'a running call finishes on the old one')
    t.match((await slow).body, { delay: 1_500 })
    t.equal((await upstream.stats()).initialize, 1)
    await until(() => !isAlive(sharedPid), 'the process of a server that is gone ends')

    for (const [what, text] of [
      ['no JSON', `{"mcpServers": {"bad": {"command": "${secret}"`],
      [
        'an unknown command',
        JSON.stringify({ mcpServers: { bad: { command: 'there-is-no-such-command', env: { SECRET: secret } } } })
      ],
      [
        'a placeholder that is none',
        JSON.stringify({
          mcpServers: { bad: { url: upstream.url, headers: { authorization: `${secret} \${nothing}` } } }
        })
      ],
      ['a name that is there twice', `{"mcpServers": {"a": {"url": "${upstream.url}"}, "a": {"command": "${secret}"}}}`]
    ] as const) {
      await writeFile(file, text)
      const before = service.output().length
      await reload('servers file cannot be used, the servers stay as they are')
      const lines = service
        .output()
        .slice(before)
        .split('\n')
        .filter(line => line.includes('servers file'))
      t.equal(lines.length, 1, `${what}: one line`)
      t.match(JSON.parse(lines[0] ?? '{}'), { level: 'error', err: { message: /^MCP_SERVERS_FILE/ } })
      t.match((await call('fresh__echo', { text: what })).body, { text: what }, 'the servers are those of before')
    }
    t.notOk(service.output().includes(secret))

    t.comment('the end')
    await write({ http: { url: upstream.url } })
    await reload('servers file read again')
    const last = call('slow', { delay: 500 })
    await until(async () => (await upstream.stats()).calls.slow === 2, 'the call runs')
    service.kill('SIGTERM')
    t.match((await last).body, { delay: 500 }, 'a call that runs at the end is finished')
    t.strictSame(await service.exited, { code: 0, signal: null })
  }
)

t.test('SIGHUP with one entry changed restarts one, and an entry that became faulty keeps its old form', async t => {
  const file = join(await makeFolder(t), 'servers.json')
  const shared = (env: object) => ({
    command: process.execPath, args: [fixture('tiny-server.mjs')], lifecycle: 'shared', env
  })
  const write = async (mcpServers: Entries) => await writeFile(file, JSON.stringify({ mcpServers }))
  await write({ one: shared({ N: 1 }), two: shared({}), three: shared({}) })
  const service = await startService(t, { MCP_SERVERS_FILE: file })
  const session = { session_id: 'ours', apiUrl, jwtToken }
  await post(`${service.url}/init`, session)
  const names = ['one', 'two', 'three'] as const
  const callAll = async () => {
    for (const name of names) {
      t.equal((await post(`${service.url}/call-tool`, { ...session, tool: `${name}__echo` })).status, 200, name)
    }
    return new Set(serversOf(service.pid))
  }
  const before = await callAll()
  t.equal(before.size, 3)
  const reload = async (line: string) => {
    const count = () => service.output().split(line).length
    const lines = count()
    service.kill('SIGHUP')
    await until(() => count() > lines, line)
  }
  const faulty = async () => ((await (await fetch(`${service.url}/health`)).json()) as { servers: { faulty: unknown } }).servers.faulty

  await write({ one: shared({ N: 2 }), two: shared({}), three: shared({}) })
  await reload('servers file read again')
  await until(() => [...before].filter(isAlive).length === 2, 'the changed one ends')
  const after = await callAll()
  t.strictSame([after.size, [...after].filter(pid => before.has(pid)).length], [3, 2], 'and a new one is in its place')

  await write({ one: { ...shared({ N: 3, KEY: secret }), sandboxEnabled: true }, two: shared({}), three: shared({}), four: { url: '' } })
  await reload('servers file read again')
  t.strictSame(await callAll(), after, 'nothing was restarted')
  t.match(await faulty(), [
    { name: 'one', reason: /^sandboxEnabled may restrict/, keeps_old_form: true },
    { name: 'four', reason: 'url must be a non-empty string', keeps_old_form: false }
  ])
  t.match(service.output(), /"level":"error",.*"server":"one",.*became faulty, and its server runs on in its old form/)
  t.notMatch(service.output(), secret)

  await write({ one: shared({ N: 2 }), two: shared({}), three: shared({}) })
  await reload('servers file read again')
  t.strictSame([await faulty(), await callAll()], [[], after])
})

t.test('with MCP_SERVERS_STRICT one entry with a fault stops a reload', async t => {
  const tiny = { command: process.execPath, args: [fixture('tiny-server.mjs')] }
  const file = await serversFile(t, { one: tiny, two: tiny })
  const app = await build(t, { MCP_SERVERS_FILE: file, MCP_SERVERS_STRICT: 'true' })
  await writeFile(file, JSON.stringify({ mcpServers: { one: tiny, two: { ...tiny, readOnly: true } } }))
  t.throws(() => app.readServerSpecs(), { code: 'MCPC_ERR_CONFIG', message: /server "two": readOnly may restrict the server/ })
  await t.rejects(build(t, { MCP_SERVERS_FILE: file, MCP_SERVERS_STRICT: '1' }), { code: 'MCPC_ERR_CONFIG' })
  t.equal((await build(t, { MCP_SERVERS_FILE: file })).faultyEntries().length, 1)
})
