import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { provideApiGenerators } from '../support/api-generators.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { fixture, root } from '../support/paths.ts'
import { build, type Environment, serviceOn } from '../support/service.ts'
import type { Entries } from '../support/servers-file.ts'
import { thousandTools } from '../support/thousand-tools.ts'

t.setTimeout(300_000)

const { resolve } = createRequire(import.meta.url)
const official = (name: string) => resolve(`@modelcontextprotocol/server-${name}/dist/index.js`)
const shared = (...args: string[]) => ({ command: process.execPath, args, values: 'none', lifecycle: 'shared' })
const schemas = readdirSync(fixture('schemas')).map(file => fixture(join('schemas', file)))
const hash = createHash('sha256').update('key').digest('hex')
const keys = { MCP_CLIENT_API_KEYS: `a:${hash}` }
const tokens = { MCP_SESSION_TOKENS: 'required' }
const limits = { MCP_RATE_LIMIT_PER_MINUTE: '100', MCP_INIT_RATE_LIMIT: '100' }

/** Documents of services of all kinds, by what they are. */
async function documents (): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const folder = await makeFolder(t)
  const many = join(folder, 'many.json')
  await writeFile(many, JSON.stringify(thousandTools()))
  const entries = {
    everything: shared(official('everything'), 'stdio'),
    filesystem: shared(official('filesystem'), folder),
    corpus: shared(fixture('corpus-server.mjs'), ...schemas)
  }

  async function add (name: string, env: Environment, paths: string[], servers?: Entries): Promise<void> {
    const app = servers === undefined ? await build(t, env) : await serviceOn(t, servers, env)
    const base = env.MCP_BASE_PATH ?? ''
    const key = { 'x-api-key': 'key' }
    const payload = { session_id: 'lint', apiUrl, jwtToken }
    const opened = await app.inject({ method: 'POST', url: `${base}/init`, payload, headers: key })
    const token = opened.json<{ session_token?: string }>().session_token
    const session = { ...key, 'x-session-id': 'lint', ...(token !== undefined && { authorization: `Bearer ${token}` }) }
    for (const path of paths) {
      for (const [who, headers] of Object.entries({ nobody: key, session })) {
        const { statusCode, body } = await app.inject({ url: `${base}${path}`, headers })
        t.equal(statusCode, 200, `${name} ${path} ${who}: ${body.slice(0, 200)}`)
        found.set(`${name} ${path} ${who}`, body)
      }
    }
  }

  const both = ['/openapi.json', '/openapi.json?operations=tools']
  await add('several servers', {}, [...both, '/openapi/everything.json', '/openapi/corpus.json?operations=tools'], entries)
  await add('a script', { MCP_SERVER_SCRIPT: fixture('tiny-server.mjs') }, both)
  await add('no tools', {}, both, { none: shared(fixture('corpus-server.mjs')) })
  await add('API keys', keys, both, { everything: entries.everything })
  await add('tokens', tokens, both, { everything: entries.everything })
  const everything = { ...keys, ...tokens, ...limits, MCP_BASE_PATH: '/mcp', MCP_ELICITATION: 'on', MCP_ASYNC_CALLS: 'on' }
  await add('all', everything, both, { everything: entries.everything })
  await add('a thousand tools', {}, ['/openapi.json'], { many: shared(fixture('corpus-server.mjs'), many) })
  for (const [name, env] of Object.entries({ plain: {}, keys: { ...keys, MCP_BASE_PATH: '/mcp' } })) {
    const script = join(root, 'scripts', 'openapi.mjs')
    found.set(`npm run openapi, ${name}`, execFileSync(process.execPath, [script], { cwd: folder, env, encoding: 'utf8' }))
  }
  return found
}

t.test('every document that a service can give is one to two validators, without a warning', async t => {
  const generators = await provideApiGenerators(t)
  // Equal documents are looked at once.
  const texts = new Map([...await documents()].map(([name, text]) => [text, name]))
  const files: Array<[file: string, name: string]> = []
  for (const [text, name] of texts) {
    const file = `${files.length}.json`
    await writeFile(join(generators.folder, file), text)
    files.push([file, name])
  }
  t.ok(files.length >= 14, `${files.length} documents`)
  const linted = await generators.run(
    'redocly', 'lint', '--extends=recommended', '--format=json', '--max-problems=1000', ...files.map(([file]) => file)
  )
  interface Lint {
    totals: object
    problems: Array<{ ruleId: string, message: string, location: Array<{ pointer?: string }> }>
  }
  // One JSON text after the other.
  const results = JSON.parse(`[${linted.replace(/\}\s*\{(?=\s*"totals")/g, '},{')}]`) as Lint[]
  t.equal(results.length, files.length)
  for (const [index, { totals, problems }] of results.entries()) {
    const name = files[index]?.[1] ?? ''
    t.match(totals, { errors: 0, warnings: 0 }, name)
    t.strictSame(problems.slice(0, 5).map(({ ruleId, message, location: [place] }) =>
      [ruleId, message, place?.pointer]), [], name)
  }
  for (const [file, name] of files) {
    t.match(JSON.parse(await generators.run('validate-api', file)), { valid: true }, name)
  }
})
