import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import Module from 'node:module'
import { dirname, join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { callAt, openSession } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { listen } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(60_000)

/** Whether this Node keeps compiled code. Older ones pass over the variable. */
const keepsCode = 'enableCompileCache' in Module

t.test('servers keep compiled code, each entry in a folder of its own', async t => {
  const folder = join(await makeFolder(t), 'cache')
  // With imports: Node keeps modules, and nothing for a script that it is given alone.
  const server = { command: process.execPath, args: [fixture('stdio-2025-server.mjs')] }
  const prying = { command: process.execPath, args: [fixture('prying-server.mjs')] }
  const service = await listen(t, {
    MCP_SERVERS_FILE: await serversFile(t, { one: server, two: { ...server, env: { NAME: 'two' } }, prying }),
    MCP_NODE_COMPILE_CACHE: folder,
    NODE_COMPILE_CACHE: '/inherited'
  })
  t.equal(statSync(folder).mode & 0o777, 0o700)

  const session = await openSession(service)
  const { status, body } = await callAt(service, session, 'prying__pry', { file: '/dev/null' })
  const { env } = body as { env: Record<string, string> }
  t.match({ status, env }, { status: 200, env: { NODE_COMPILE_CACHE: /^\/.+\/cache\/[\w-]{43}$/ } })
  t.equal(dirname(env.NODE_COMPILE_CACHE ?? ''), folder)

  for (const name of ['one', 'two']) {
    t.match(await callAt(service, session, `${name}__echo`, { text: name }), { status: 200 })
  }
  const filled = () => readdirSync(folder).filter(entry => readdirSync(join(folder, entry)).length > 0)
  if (keepsCode) await until(() => filled().length === 3, 'each entry has filled its own folder')
  else t.strictSame(filled(), [])
  // What the next start reads is as good as what it compiles.
  t.match(await callAt(service, session, 'one__echo', { text: 'again' }), { status: 200 })
})

t.test('what the start finds beyond the bound is removed, and a folder that is gone does no harm', async t => {
  const folder = await makeFolder(t)
  for (const name of ['one', 'two', 'three']) writeFileSync(join(folder, name), Buffer.alloc(30_000_000))
  const service = await listen(t, { MCP_NODE_COMPILE_CACHE: folder, MCP_LOG_LEVEL: 'info' })
  t.equal(readdirSync(folder).length, 1)
  const removed = service.output().split('\n').filter(line => line.includes('compiled code of mcp servers'))
  t.match(removed.map(line => JSON.parse(line)), [{ msg: 'compiled code of mcp servers took too much, and the oldest is removed', folder, bytes: 60_000_000 }])

  await rm(folder, { recursive: true })
  t.match(await callAt(service, await openSession(service), 'echo', { text: 'hello' }), { status: 200 })
})
