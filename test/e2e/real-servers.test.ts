import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createRequire } from 'node:module'
import t from 'tap'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { call, initSession } from '../support/requests.ts'
import { build, serviceOn } from '../support/service.ts'

const require = createRequire(import.meta.url)

/** The program of an installed package, which npx would start. */
function binOf (name: string): string {
  const manifest = require.resolve(`${name}/package.json`)
  const { bin } = require(manifest) as { bin: Record<string, string> }
  return join(manifest, '..', Object.values(bin)[0] ?? '')
}

t.test('server-everything answers through the service', async t => {
  const app = await serviceOn(t, {
    everything: { command: 'node', args: [binOf('@modelcontextprotocol/server-everything'), 'stdio'] }
  })
  const session = await initSession(app, { city: 'New York' })

  const listed = await app.inject({ method: 'POST', url: '/tools', payload: { session_id: session } })
  const { tools, workflow_guidance: guidance } = listed.json<{
    tools: Array<{ name: string; inputSchema: unknown }>
    workflow_guidance: { instructions: Record<string, string> }
  }>()
  const names = tools.map(({ name }) => name)
  t.ok(names.length >= 8, `${names.length} tools are listed`)
  for (const name of ['echo', 'get-sum', 'get-tiny-image', 'get-structured-content']) t.ok(names.includes(name), name)
  t.type(guidance.instructions.everything, 'string', 'its instructions are the guidance')

  t.strictSame((await call(app, session, 'echo', { message: 'hello' })).json(), { result: 'Echo: hello' })
  t.match((await call(app, session, 'get-sum', { a: 2, b: 40 })).json(), { result: /42/ })
  t.match((await call(app, session, 'get-tiny-image')).json(), {
    content: [{ type: 'text' }, { type: 'image', mimeType: 'image/png' }, { type: 'text' }]
  })
  t.match((await call(app, session, 'get-sum', { a: 'two' })).json(), { status: 'error', error: String })
  t.match((await call(app, session, 'get-structured-content', { location: 'New York' })).json(), {
    temperature: Number,
    conditions: String
  })
})

t.test('server-filesystem answers through the service', async t => {
  const path = await makeFolder(t)
  await writeFile(join(path, 'note.txt'), 'written by the test')
  const app = await serviceOn(t, {
    files: { command: process.execPath, args: [binOf('@modelcontextprotocol/server-filesystem'), path] }
  })
  const session = await initSession(app)

  const listed = await app.inject({ method: 'POST', url: '/tools', payload: { session_id: session } })
  const names = listed.json<{ tools: Array<{ name: string }> }>().tools.map(({ name }) => name)
  for (const name of ['read_text_file', 'write_file', 'list_directory', 'search_files']) {
    t.ok(names.includes(name), name)
  }

  t.match((await call(app, session, 'read_text_file', { path: join(path, 'note.txt') })).body, /written by the test/)
  t.equal((await call(app, session, 'write_file', { path: join(path, 'new.txt'), content: 'kept' })).statusCode, 200)
  t.match((await call(app, session, 'read_text_file', { path: join(path, 'new.txt') })).body, /kept/)
  t.match((await call(app, session, 'read_text_file', { path: '/etc/hostname' })).json(), {
    status: 'error',
    error: /denied/i
  })
})

t.test("a Python script runs with python3, or as mcp run where the Python SDK's command is", async t => {
  const environment = await makeFolder(t)
  await mkdir(join(environment, 'bin'))
  const withPython = await build(t, { MCP_SERVER_SCRIPT: fixture('server.py'), VIRTUAL_ENV: undefined })
  const session = await initSession(withPython)
  t.match((await call(withPython, session, 'started_as')).json(), {
    status: 'success',
    argv: [/server\.py$/],
    by: null
  })

  // The command that the SDK installs is a script with an interpreter line; this one does what `mcp run FILE` does.
  const mcp = join(environment, 'bin', 'mcp')
  await writeFile(mcp, '#!/bin/sh\nSTARTED_BY="$0 $1" exec python3 "$2"\n')
  await chmod(mcp, 0o755)
  const withCommand = await build(t, { MCP_SERVER_SCRIPT: fixture('server.py'), VIRTUAL_ENV: environment })
  const other = await initSession(withCommand)
  t.match((await call(withCommand, other, 'started_as')).json(), { status: 'success', by: `${mcp} run` })
})

t.test('an executable of any kind is a server, too', async t => {
  const script = join(await makeFolder(t), 'server')
  await writeFile(script, `#!/bin/sh\nexec python3 ${fixture('server.py')}\n`)
  await chmod(script, 0o755)
  const app = await build(t, { MCP_SERVER_SCRIPT: script })
  t.match((await call(app, await initSession(app), 'started_as')).json(), { status: 'success' })
})

t.test('a server gets the environment and the folder that its entry names', async t => {
  const path = await makeFolder(t)
  const app = await serviceOn(t, {
    python: {
      command: 'python3',
      args: [fixture('server.py')],
      env: { GREETING: 'hello', REDIS_PASSWORD: 'its own' },
      cwd: path
    }
  })
  const { env, cwd } = (await call(app, await initSession(app), 'started_as')).json<{
    env: Record<string, string>
    cwd: string
  }>()
  t.match(env, { GREETING: 'hello', REDIS_PASSWORD: 'its own', PATH: String })
  t.notOk(
    Object.keys(env).some(name => name.startsWith('MCP_')),
    'nothing of ours is in it'
  )
  t.match(cwd, path)
})
