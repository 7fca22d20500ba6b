import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../support/folders.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { call, initSession, openSession, post, postTo } from '../support/requests.ts'
import { build, listen } from '../support/service.ts'

/** Of each file: what its local server offers, where not all, and which entries are not run, by the member at fault. */
const expected: Record<string, { tools?: string[], faulty?: Record<string, string> }> = {
  'claude-desktop': {},
  'claude-code': {
    faulty: { 'signed-in': 'oauth', helped: 'headersHelper', 'without-a-key': 'headers.Authorization' }
  },
  'vs-code': { faulty: { asking: 'headers.Authorization', sandboxed: 'sandboxEnabled', 'of-the-workspace': 'args[0]' } },
  cursor: { faulty: { 'signed-in': 'auth', 'at-home': 'command' } },
  windsurf: { tools: ['echo', 'count', 'wait'] },
  cline: {},
  roo: { tools: ['echo', 'keep', 'recall', 'count'] },
  'gemini-cli': { tools: ['echo', 'keep'], faulty: { google: 'authProviderType' } },
  kiro: { tools: ['echo', 'recall', 'count', 'wait'] },
  'github-copilot': { tools: ['echo', 'count'] },
  'lm-studio': { faulty: { 'not-installed': 'command' } }
}
const allTools = ['echo', 'keep', 'recall', 'count', 'wait']

t.test('a file of each host starts, and what of it cannot be is named', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const folder = await makeFolder(t)
  await writeFile(join(folder, 'conf.env'), 'FROM_FILE=1\n')
  const hosts = readdirSync(fixture('hosts')).map(name => name.replace('.json', '')).sort()
  t.strictSame(hosts, Object.keys(expected).sort())

  await Promise.all(hosts.map(async host => {
    const text = readFileSync(fixture(`hosts/${host}.json`), 'utf8')
      .replaceAll('TINY"', `${fixture('tiny-server.mjs')}"`)
      .replaceAll(/"URL"|-URL}/g, found => found.replace('URL', upstream.url))
      .replaceAll('ENVFILE', 'conf.env')
    const file = join(folder, `${host}.json`)
    await writeFile(file, text)
    const service = await build(t, {
      MCP_SERVERS_FILE: file, API_KEY: 'key-of-the-operator', TINY_SERVER: fixture('tiny-server.mjs')
    })
    const { tools: localTools = allTools, faulty = {} } = expected[host] ?? {}
    const health = (await service.inject('/health')).json()
    const found = health.servers.faulty.map(({ name, reason }: { name: string, reason: string }) => [name, reason.split(' ')[0]])
    t.strictSame(Object.fromEntries(found), faulty, host)

    const session = await initSession(service)
    const { tools, errors = {} } = (await postTo(service, '/tools', { session_id: session })).json()
    const names = tools.map(({ name }: { name: string }) => name)
    const isOnly = host === 'claude-desktop'
    const local = isOnly ? names : names.filter((name: string) => name.startsWith('local__'))
    t.strictSame(local.sort(), localTools.map(name => isOnly ? name : `local__${name}`).sort(), host)
    if (!isOnly) t.ok(names.includes('remote__echo'), `${host}: ${names.join()}`)
    t.notOk(names.some((name: string) => name.startsWith('all-off')))
    t.strictSame(Object.keys(errors).sort(), Object.keys(faulty).sort(), host)
    const answer = await call(service, session, isOnly ? 'echo' : 'local__echo', { text: host })
    t.match(answer.json(), { text: host }, `${host}: ${answer.body}`)
  }))
})

t.test('an entry that cannot be is named, and its callers learn no more than that', async t => {
  const tiny = { command: process.execPath, args: [fixture('tiny-server.mjs')] }
  const file = join(await makeFolder(t), 'servers.json')
  await writeFile(file, JSON.stringify({
    mcpServers: {
      only: { ...tiny, timeout: 60_000, autoApprove: ['echo'] },
      broken: { command: 'there-is-no-uvx', env: { KEY: 'canary-of-the-operator' } },
      open: { ...tiny, prefix: '', disabledTools: ['echo'], enabled: false }
    }
  }))
  const service = await listen(t, { MCP_SERVERS_FILE: file })
  const lines = () => service.output().trim().split('\n').map(line => JSON.parse(line))
  const reason = 'command must be an executable, but "there-is-no-uvx" was not found on PATH'
  t.match(lines().filter(({ reason }) => reason !== undefined), [{ level: 'error', server: 'broken', reason }])
  const told = lines().filter(({ member }) => member !== undefined)
  t.match(told.map(({ level, server, member }) => [level, server, member]), [['warn', 'only', 'timeout'], ['info', 'only', 'autoApprove']])
  t.match(told[0]?.why, /"timeouts": \{"call": 60000\} if it is seconds, or "timeouts": \{"call": 60\} if it is milliseconds$/)

  const session = await openSession(service)
  const sentence = 'MCP server broken is not run: its entry in the servers file has a fault'
  const list = await post(`${service.url}/tools`, { session_id: session })
  t.match(list.body, { errors: { broken: sentence }, tools: [{ name: /^only__/ }] }, 'names do not depend on it')
  for (const tool of ['broken__fetch', 'broken__']) {
    const { status, body } = await post(`${service.url}/call-tool`, { session_id: session, tool })
    t.strictSame([status, body], [502, { status: 'error', error: sentence, code: 'MCPC_ERR_MCP_ENTRY', retryable: false, acted: 'no' }])
  }
  t.equal((await post(`${service.url}/call-tool`, { session_id: session, tool: 'open__echo' })).status, 404)
  t.match(await post(`${service.url}/read-resource`, { session_id: session, server: 'broken', uri: 'x:y' }), {
    status: 502, body: { error: sentence, code: 'MCPC_ERR_MCP_ENTRY' }
  })
  const health = await (await fetch(`${service.url}/health`)).json()
  t.match(health, { status: 'ok', servers: { faulty: [{ name: 'broken', reason, keeps_old_form: false }] } })
  t.notMatch(service.output() + JSON.stringify([list, health]), 'canary')
})
