import { Ajv } from 'ajv'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseJsonc } from '../../../../lib/jsonc.ts'
import { editorSchema } from '../../../../lib/mcp/servers-file/editor-schema.ts'
import { knownFields } from '../../../../lib/mcp/servers-file/entry-schema.ts'
import { readServersFile } from '../../../../lib/mcp/servers-file/servers-file.ts'
import { fixture, root } from '../../../support/paths.ts'
import { policyDefaults } from '../../../support/servers-file.ts'

const schema = JSON.parse(readFileSync(join(root, 'docs', 'servers-file.schema.json'), 'utf8'))
const accepts = new Ajv({ allowUnionTypes: true, strictRequired: false }).addVocabulary(['allowComments', 'allowTrailingCommas']).compile(schema)

t.test('the schema for editors is made of the fields that the service checks', async t => {
  t.strictSame(schema, editorSchema(), 'npm run servers-file-schema writes it')
  const { properties } = schema.definitions.entry
  for (const field of knownFields) t.match(properties[field], { description: /^.{10,}$/ }, field)
})

t.test('docs/servers-file.md has a row for each field, and for no others', async t => {
  const page = readFileSync(join(root, 'docs', 'servers-file.md'), 'utf8')
  const [, fields = ''] = /\n## Fields\n(.*?)\n## /s.exec(page) ?? []
  const named = [...fields.matchAll(/^\| (`\w+`(?:, `\w+`)*) \|/gm)].flatMap(([, cell = '']) => cell.replaceAll('`', '').split(', '))
  t.strictSame(named.sort(), [...knownFields].sort())
})

t.test('the schema takes the file of each host', async t => {
  for (const name of readdirSync(fixture('hosts'))) {
    t.ok(accepts(parseJsonc(readFileSync(fixture(`hosts/${name}`), 'utf8')).value), `${name}: ${JSON.stringify(accepts.errors)}`)
  }
})

t.test('the schema and the service agree', async t => {
  const entry = { command: process.execPath }
  const http = { url: 'https://mcp.example.com' }
  const taken = (it: unknown) => {
    const folder = t.testdir({ 'servers.json': JSON.stringify({ mcpServers: { on: entry, it } }) })
    const options = { host: { PATH: process.env.PATH }, sensitiveParams: ['jwtToken'], policyDefaults }
    return readServersFile(`${folder}/servers.json`, options).every(({ kind }) => kind !== 'faulty')
  }
  const good = [
    entry, http, { serverUrl: http.url }, { httpUrl: http.url }, { ...http, type: 'streamable-http' }, { disabled: true },
    { enabled: false }, { ...entry, type: 'local' }, { ...entry, env: { A: 'x', B: 1, C: true } }, { ...entry, tools: ['a'] },
    { ...entry, tools: { a: { fill: 'declared', filled: ['x'], arguments: { y: 7 } } } }, { ...entry, values: 'chain' },
    { ...entry, values: { keep: 'both', fill: 'required', from: ['on'] } }, { ...entry, timeouts: { call: 0.5 } },
    { ...entry, disabledTools: ['*'], excludeTools: [], includeTools: ['a'] }, { ...entry, description: 'x', timeout: 60 },
    { ...entry, lifecycle: 'shared', stateful: true }, { ...entry, warmSpares: 0, prefix: '' }, { ...http, session: 'kept' }
  ]
  const bad = [
    7, {}, { args: [] }, { command: 7 }, { command: '' }, { url: '' }, { ...http, type: 'ws' }, { ...http, transport: 'ws' },
    { ...entry, args: 'x' }, { ...entry, args: [7] }, { ...entry, env: { A: null } }, { ...entry, env: ['x'] },
    { ...entry, tools: 'x' }, { ...entry, tools: [7] }, { ...entry, tools: { a: { keeps: 'both' } } }, { ...entry, values: true },
    { ...entry, values: { keep: 'x' } }, { ...entry, values: { fil: 'none' } }, { ...entry, timeouts: { calls: 1 } },
    { ...entry, timeouts: { call: 0 } }, { ...entry, timeouts: 5 }, { ...entry, disabledTools: 'x' }, { ...entry, uid: '0' },
    { ...entry, excludeTools: [''] }, { ...entry, prefix: 'a b' }, { ...entry, lifecycle: 'x' }, { ...entry, warmSpares: -1 },
    { ...entry, envFile: 7 }, { ...entry, envFile: '' }, { ...entry, disabled: 'x' }, { ...entry, enabled: 1 }, { disabled: false },
    { ...http, headers: { A: 7 } }, { ...http, session: 'x' }, { ...entry, result: 'x' }, { ...entry, validateArguments: true }
  ]
  for (const it of good) t.ok(accepts({ mcpServers: { it } }) && taken(it), JSON.stringify(it))
  for (const it of bad) t.notOk(accepts({ servers: { it } }) || taken(it), JSON.stringify(it))
  const it = entry
  for (const file of [{}, { mcpServers: {} }, { mcpServers: [it] }, { mcpServers: { it }, servers: { it } }]) {
    t.notOk(accepts(file), JSON.stringify(file))
  }
})
