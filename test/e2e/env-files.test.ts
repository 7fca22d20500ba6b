import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { type Entries, serversFile } from '../support/servers-file.ts'
import { listen, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(60_000)

const secret = 'canary-of-the-operator-4711'
const message = 'an mcp server can read a .env file in its folder'

/** What the log warns of, in its order. */
const warnings = (output: string) => output.split('\n')
  .filter(line => line.includes(message))
  .map(line => JSON.parse(line) as { level: string, server: string, path: string })
  .map(({ level, server, path }) => ({ level, server, path }))

t.test('the start and a reload warn of each .env file that a server can read, and show nothing of it', async t => {
  const folder = await makeFolder(t)
  const withEnvFile = async (name: string) => {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, '.env'), `REDIS_PASSWORD=${secret}\n`)
    return join(folder, name)
  }
  const tiny = { command: process.execPath, args: [fixture('tiny-server.mjs')] }
  const [one, two] = [await withEnvFile('one'), await withEnvFile('two')]
  const file = await serversFile(t, { one: { ...tiny, cwd: one }, none: { ...tiny, cwd: folder } })
  const service = await startService(t, { MCP_SERVERS_FILE: file, MCP_LOG_LEVEL: 'trace' })
  const ofOne = { level: 'warn', server: 'one', path: join(one, '.env') }
  await until(() => warnings(service.output()).length > 0, 'it warns')
  t.strictSame(warnings(service.output()), [ofOne])

  const reload = async (mcpServers: Entries, count: number) => {
    await writeFile(file, JSON.stringify({ mcpServers }))
    service.kill('SIGHUP')
    await until(() => service.output().split('servers file read again').length > count, 'the file is read')
  }
  const both = { one: { ...tiny, cwd: one }, more: { ...tiny, cwd: two } }
  await reload(both, 1)
  await reload(both, 2)
  t.strictSame(warnings(service.output()), [ofOne, { level: 'warn', server: 'more', path: join(two, '.env') }], 'each once')
  t.notOk(service.output().includes(secret))
})

t.test('the .env file beside the script of the only server is warned of, and where there is none nothing is', async t => {
  const folder = await makeFolder(t)
  const script = join(folder, 'server.mjs')
  await writeFile(script, `import ${JSON.stringify(fixture('tiny-server.mjs'))}`)
  const quiet = await listen(t, { MCP_SERVER_SCRIPT: script })
  await writeFile(join(dirname(script), '.env'), `REDIS_PASSWORD=${secret}\n`)
  const warned = await listen(t, { MCP_SERVER_SCRIPT: script })
  t.strictSame(warnings(quiet.output()), [])
  t.strictSame(warnings(warned.output()), [{ level: 'warn', server: 'server', path: join(folder, '.env') }])
})

t.test('the .env file that a service started with is warned of, for its server runs in the same folder', async t => {
  const service = await startService(
    t, { MCP_SERVER_SCRIPT: fixture('tiny-server.mjs') }, { files: { '.env': `MCP_API_BASE_URL=http://${secret}\n` } }
  )
  await until(() => warnings(service.output()).length > 0, 'it warns')
  t.match(warnings(service.output()), [{ server: 'tiny-server', path: /\.env$/ }])
  t.notOk(service.output().includes(secret))
})
