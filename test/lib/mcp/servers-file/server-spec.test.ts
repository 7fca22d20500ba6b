/* eslint-disable no-template-curly-in-string -- placeholders of the servers file look like those of JavaScript */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { resolveScript } from '../../../../lib/mcp/servers-file/script-server.ts'
import { readServersFile } from '../../../../lib/mcp/servers-file/servers-file.ts'
import { fixture } from '../../../support/paths.ts'
import { policyDefaults } from '../../../support/servers-file.ts'

const host = { PATH: process.env.PATH, HOME: '/home/user', API_KEY: 'key-of-the-operator' }
const sensitiveParams = ['jwtToken', 'tenant']

const fileWith = (t: Test, entry: object) =>
  join(t.testdir({ 'servers.json': JSON.stringify({ mcpServers: { weather: entry } }) }), 'servers.json')

const identityOf = (t: Test, entry: object, env: object = host) =>
  readServersFile(fileWith(t, entry), { host: { ...env }, sensitiveParams, policyDefaults })[0]?.identity

const stdio = {
  command: process.execPath,
  args: ['--tenant', '${session.tenant}', '${env.API_KEY}'],
  env: { TOKEN: '${session.jwtToken}', KEY: 'canary' }
}
const http = {
  url: 'https://mcp.example.com/mcp?key=${env.API_KEY}&tenant=${session.tenant}',
  headers: { Authorization: 'Bearer canary ${session.jwtToken}' }
}

t.test('an entry that says the same has the same identity', async t => {
  for (const entry of [stdio, http]) {
    t.equal(identityOf(t, entry), identityOf(t, entry))
    const elsewhere = { ...host, HOME: '/home/other', UNUSED: 'x' }
    t.equal(identityOf(t, entry), identityOf(t, entry, elsewhere), 'whatever else the service has in its environment')
    t.equal(identityOf(t, entry), identityOf(t, { ...entry, description: 'a field of another host' }))
  }
  const script = () => resolveScript(fixture('tiny-server.mjs'), { host, validation: 'off' }).identity
  t.equal(script(), script())
})

t.test('also in another process', async t => {
  const built = join(import.meta.dirname, '../../../../dist/lib/mcp/servers-file/servers-file.js')
  for (const entry of [stdio, http]) {
    const script = `
      import { readServersFile } from ${JSON.stringify(built)}
      const options = ${JSON.stringify({ host, sensitiveParams, policyDefaults })}
      console.log(readServersFile(${JSON.stringify(fileWith(t, entry))}, options)[0].identity)
    `
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    t.equal(output.trim(), identityOf(t, entry))
  }
})

t.test('an entry that says something else has another identity', async t => {
  const changes: Array<[base: object, change: object]> = [
    [stdio, { args: ['--tenant', '${session.jwtToken}', '${env.API_KEY}'] }],
    [stdio, { args: ['--tenant', '${session.tenant}', 'key-of-the-operator', 'more'] }],
    [stdio, { args: ['--tenant', '$${session.tenant}', '${env.API_KEY}'] }],
    [stdio, { env: { ...stdio.env, KEY: 'another canary' } }],
    [stdio, { env: { ...stdio.env, MORE: '' } }],
    [stdio, { cwd: '.' }],
    [stdio, { timeouts: { call: 5 } }],
    [stdio, { prefix: 'w' }],
    [stdio, { warmSpares: 0 }],
    [stdio, { includeTools: ['get_*'] }],
    [http, { url: `${http.url}&more=1` }],
    [http, { headers: { Authorization: 'Bearer canary' } }],
    [http, { headers: { ...http.headers, 'X-More': 'canary' } }],
    [http, { timeouts: { list: 5 } }],
    [http, { type: 'sse' }],
    [http, { session: 'request' }]
  ]
  for (const [base, change] of changes) {
    t.not(identityOf(t, { ...base, ...change }), identityOf(t, base), JSON.stringify(change))
  }
  for (const entry of [stdio, http]) {
    const another = identityOf(t, entry, { ...host, API_KEY: 'another-key' })
    t.not(identityOf(t, entry), another, 'a variable that it names has another value')
  }
})

t.test('an identity shows nothing of what its entry says', async t => {
  for (const entry of [stdio, http]) t.match(identityOf(t, entry), /^[\w-]{43}$/, 'a SHA-256 as base64url')
})
